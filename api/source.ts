import { randomBytes } from 'node:crypto';
import type { Database } from '../db/database.ts';
import { insertSecret, openSecret } from '../db/repositories/secret.ts';
import { findSourceAccount } from '../db/repositories/source-account.ts';
import { insertSourceBinding } from '../db/repositories/source-binding.ts';
import type { SourceAccountRow } from '../db/tables/source.ts';
import { invalidRequest } from '../domain/errors.ts';
import { SourceError } from '../domain/source-error.ts';
import { parseLogin } from '../domain/login.ts';
import { cloneUrl } from '../domain/source.ts';
import type { SourceBindingDefinition, SourceHost } from '../domain/source.ts';
import type { ApiDeps } from './deps.ts';
import { checkUrl } from './egress-check.ts';

type SourceDeps = Pick<ApiDeps, 'db' | 'config' | 'git' | 'secretBox' | 'egressPolicy' | 'resolveHost'>;

/** A hook's address and, once, its secret; `installed` is false until the host was told, which people do for now. */
export interface Hook {
  readonly url: string;
  readonly secret: string | null;
  readonly installed: false;
  readonly instructions: string;
}

const testCloneMs = 30_000;

/** `whsec_` and 32 random bytes: the form of Standard Webhooks; GitHub takes the whole text as its secret. */
export function newSigningSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`;
}

/**
 * Checks that the code repository of a binding answers and takes our credential (docs/product.md, section 5). `pointer` is where
 * the binding stands in the body. Throws 422 with `source.source_account_invalid`, `url.forbidden`, `source.not_authorized`,
 * `source.not_found` or `source.not_reachable`.
 */
export async function testSource(
  deps: SourceDeps,
  { instanceId, binding, pointer }: { instanceId: string; binding: SourceBindingDefinition; pointer: string },
): Promise<SourceAccountRow> {
  const account = await findSourceAccount(deps.db, binding.sourceAccount);
  if (account === undefined || account.instance_id !== instanceId) throw unknownAccount(binding.sourceAccount, pointer);
  const url = cloneUrl({ host: account.host, baseUrl: account.base_url }, binding);
  await checkUrl(deps, { url, pointer: `${pointer}/sourceAccount` });
  const credential = await credentialOf(deps, account);
  try {
    await deps.git.refResolve(url, 'HEAD', { credential, signal: AbortSignal.timeout(testCloneMs) });
  } catch (error) {
    throw refusedSource(error, pointer);
  }
  return account;
}

async function credentialOf({ db, secretBox }: SourceDeps, { credential_ref: ref }: SourceAccountRow) {
  return ref === null ? null : parseLogin(await openSecret(db, secretBox, ref));
}

function unknownAccount(id: string, pointer: string) {
  return invalidRequest([
    {
      pointer: `${pointer}/sourceAccount`,
      code: 'source.source_account_invalid',
      message: `This instance has no source account "${id}". Create one first, or choose another.`,
    },
  ]);
}

/** The host's refusal in its own sentence; what is no answer of git is told as unreachable. */
function refusedSource(error: unknown, pointer: string) {
  const { code, message } =
    error instanceof SourceError
      ? error
      : new SourceError(
          'source.not_reachable',
          'The source host did not answer in time. Check the address, and that it can be reached from here.',
        );
  return invalidRequest([{ pointer: `${pointer}/codeRepository`, code, message }]);
}

/** Stores a binding with a new hook; its secret is answered once. */
export async function insertBinding(
  trx: Database,
  deps: Pick<ApiDeps, 'config' | 'secretBox' | 'clock'>,
  {
    repositoryId,
    namespaceId,
    account,
    binding,
  }: { repositoryId: string; namespaceId: string; account: SourceAccountRow; binding: SourceBindingDefinition },
): Promise<Hook> {
  const secret = newSigningSecret();
  const row = await insertSourceBinding(trx, {
    repository_id: repositoryId,
    source_account_id: account.id,
    code_namespace: binding.codeNamespace,
    code_repository: binding.codeRepository,
    hook_id: randomBytes(16).toString('base64url'),
    hook_secret_ref: await insertSecret(trx, deps.secretBox, { ownerId: namespaceId, kind: 'hook', value: secret }),
    created_at: deps.clock(),
  });
  return hookOf(deps, { hookId: row.hook_id, host: account.host, secret });
}

/** How a binding's hook is shown. */
export function hookOf(
  { config }: Pick<ApiDeps, 'config'>,
  { hookId, host, secret }: { hookId: string; host: SourceHost; secret: string | null },
): Hook {
  const url = `${config.SLIPWAY_URL}/hooks/${hookId}`;
  return { url, secret, installed: false, instructions: instructions[host](url) };
}

const instructions: Readonly<Record<SourceHost, (url: string) => string>> = {
  github: (url) =>
    `In the repository's settings under Webhooks add ${url} with content type application/json, the secret shown once, and the push event.`,
  gitlab: (url) =>
    `In the project's settings under Webhooks add ${url} with the secret shown once as its signing token, and the triggers push events and tag push events.`,
  gitee: (url) =>
    `In the repository's management under WebHooks add ${url} with the secret shown once as its password or signing key, and the events Push and Tag Push.`,
  bitbucket: (url) =>
    `In the repository's settings under Webhooks add ${url} with the secret shown once and the trigger Repository push.`,
  bitbucket_data_center: (url) =>
    `In the repository's settings under Webhooks add ${url} with the secret shown once and the event Repository push.`,
  gitea: (url) =>
    `In the repository's settings under Webhooks add ${url} as a Gitea or Forgejo hook with content type application/json, the secret shown once, and the push event.`,
  git: (url) =>
    `After each push send {"ref","before","after"} as JSON by POST to ${url}, signed as Standard Webhooks (webhook-id, webhook-timestamp, webhook-signature) with the secret shown once.`,
};
