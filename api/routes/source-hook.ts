import { randomBytes } from 'node:crypto';
import { z } from '@hono/zod-openapi';
import { findHook, insertInbox } from '../../db/repositories/inbox.ts';
import type { Hook } from '../../db/repositories/inbox.ts';
import { openSecretRow } from '../../db/repositories/secret.ts';
import { AppError } from '../../domain/errors.ts';
import type { ApiDeps } from '../deps.ts';
import { createHookBodies } from '../hook-body.ts';
import { json, newRoutes, route } from '../route.ts';
import { sourceHosts } from '../source-hosts/index.ts';

const deliveryIdLength = 255;
const example = { id: '1042', duplicate: false };

const acceptedSchema = z
  .object({
    id: z.string().openapi({ description: 'Id of the delivery in the inbox.' }),
    duplicate: z
      .boolean()
      .openapi({ description: 'Whether this delivery id was accepted before; nothing starts twice.' }),
  })
  .openapi('AcceptedDelivery');

const acceptDelivery = route(
  { action: null, resource: '*', example },
  {
    method: 'post',
    path: '/hooks/{hookId}',
    summary: "Accept a source host's signed delivery; what it starts is decided later",
    request: { params: z.object({ hookId: z.string().min(1).max(255) }) },
    responses: { 202: json(acceptedSchema, 'Stored. It is never lost from here on.') },
  },
);

/**
 * The inbox's door: signature over raw bytes, then the row, then 202; needs PostgreSQL and nothing else. Carries its own
 * credential, so it stands outside login (docs/product.md, section 5).
 */
export function sourceHookRoutes({ db, secretBox, clock }: Pick<ApiDeps, 'db' | 'secretBox' | 'clock'>) {
  const bodies = createHookBodies();

  /** An unknown hook is checked against a random key by the same code: same answer, same time. */
  const secretsOf = (hook: Hook | undefined): readonly string[] =>
    hook?.secrets.map((secret) => openSecretRow(secretBox, secret)) ?? [`whsec_${randomBytes(32).toString('base64')}`];

  return newRoutes('source').openapi(acceptDelivery, async (c) => {
    const { hookId } = c.req.valid('param');
    const hook = await findHook(db, hookId, clock());
    const host = sourceHosts[hook?.host ?? 'github'];
    const headers = c.req.raw.headers;
    const check = host.signatureCheck(headers, { secrets: secretsOf(hook), now: clock() });
    const body = await bodies.read(c.req.raw, check);
    if (!check.isValid() || hook === undefined) throw signatureInvalid();
    const { id, isDuplicate } = await insertInbox(db, {
      hook_id: hookId,
      delivery_id: (host.deliveryId(headers) ?? `sha256:${body.sha256}`).slice(0, deliveryIdLength),
      repository_id: hook.repositoryId,
      host: hook.host,
      event: host.event(headers).slice(0, deliveryIdLength),
      body: body.gzipped,
      state: 'pending',
      received_at: clock(),
    });
    return c.json({ id: String(id), duplicate: isDuplicate }, 202);
  });
}

function signatureInvalid(): AppError {
  return new AppError(
    401,
    'source.signature_invalid',
    "The delivery's signature does not belong to this address, or is too old. Check that the webhook's secret is the one shown when the source was bound.",
  );
}
