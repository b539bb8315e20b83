import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { z } from '@hono/zod-openapi';
import type { Hook } from '../../db/repositories/hook.ts';
import { openSecretRow } from '../../db/repositories/secret.ts';
import { AppError } from '../../domain/errors.ts';
import { limits } from '../../domain/limits.ts';
import { addressOf } from '../caller.ts';
import type { ApiDeps } from '../deps.ts';
import { createHookBodies } from '../hook-body.ts';
import type { HookBody } from '../hook-body.ts';
import { createHookDoor } from '../hook-door.ts';
import { json, newRoutes, route } from '../route.ts';
import { sourceHosts } from '../source-hosts/index.ts';
import type { KeptDelivery, SourceHostAdapter } from '../source-hosts/source-host.ts';

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
export function sourceHookRoutes({
  db,
  config,
  secretBox,
  clock,
}: Pick<ApiDeps, 'db' | 'config' | 'secretBox' | 'clock'>) {
  const bodies = createHookBodies();
  const door = createHookDoor({ db, clock });

  /** An unknown hook is checked against a random key by the same code: same answer, same time. */
  const secretsOf = (hook: Hook | undefined): readonly string[] =>
    hook?.secrets.map((secret) => openSecretRow(secretBox, secret)) ?? [`whsec_${randomBytes(32).toString('base64')}`];

  return newRoutes('source').openapi(acceptDelivery, async (c) => {
    const visitor = { hookId: c.req.valid('param').hookId, address: addressOf(c, config.SLIPWAY_TRUSTED_PROXIES) };
    const admission = await door.admit(visitor);
    if (admission.kind === 'too_often') throw tooOften();
    const { hook } = admission;
    const host = sourceHosts[hook?.host ?? 'github'];
    const headers = c.req.raw.headers;
    const check = host.signatureCheck(headers, { secrets: secretsOf(hook), now: clock() });
    const body = await bodies.read(c.req.raw, check);
    if (!check.isValid() || hook === undefined) {
      await door.noteRefusal(visitor);
      throw signatureInvalid();
    }
    const { deliveryId, body: kept } = await keptOf(host, { body, headers });
    const { id, isDuplicate } = await door.store({
      hook_id: visitor.hookId,
      delivery_id: deliveryId.slice(0, deliveryIdLength),
      repository_id: hook.repositoryId,
      host: hook.host,
      event: host.event(headers).slice(0, deliveryIdLength),
      body: kept,
      received_at: clock(),
    });
    return c.json({ id: String(id), duplicate: isDuplicate }, 202);
  });
}

/** What the inbox keeps of a verified delivery; a host that repeats its secret in the body has it taken out. */
async function keptOf(
  host: SourceHostAdapter,
  { body, headers }: { body: HookBody; headers: Headers },
): Promise<Omit<KeptDelivery, 'body'> & { body: Buffer }> {
  if (host.keep === undefined) {
    return { deliveryId: host.deliveryId(headers) ?? `sha256:${body.sha256()}`, body: body.gzipped };
  }
  const raw = await promisify(gunzip)(body.gzipped, { maxOutputLength: limits.hookBodyBytes });
  const kept = host.keep(raw, headers);
  return { deliveryId: kept.deliveryId, body: await promisify(gzip)(kept.body, { level: 1 }) };
}

function signatureInvalid(): AppError {
  return new AppError(
    401,
    'source.signature_invalid',
    "The delivery's signature does not belong to this address, or is too old. Check that the webhook's secret is the one shown when the source was bound.",
  );
}

function tooOften(): AppError {
  return new AppError(
    429,
    'source.hook_too_often',
    `This address takes ${limits.hookPerSecond} deliveries a second, and ${limits.hookBurst} at once, so this one was not taken in. Deliver it again in a few seconds.`,
    { extra: { retryAfterSeconds: 1 } },
  );
}
