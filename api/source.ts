import { randomBytes } from 'node:crypto';
import { HostError } from '../domain/source-host-error.ts';
import type { Database } from '../db/database.ts';
import { insertSecret } from '../db/repositories/secret.ts';
import { findSourceAccount } from '../db/repositories/source-account.ts';
import { accessOf } from '../db/repositories/source-address.ts';
import type { SourceAccess } from '../db/repositories/source-address.ts';
import { insertSourceBinding } from '../db/repositories/source-binding.ts';
import type { SourceAccountRow, SourceBindingRow } from '../db/tables/source.ts';
import { invalidRequest } from '../domain/errors.ts';
import type { HostSecret } from '../domain/source-credential.ts';
import { SourceError } from '../domain/source-error.ts';
import { cloneUrl } from '../domain/source.ts';
import type { SourceBindingDefinition } from '../domain/source.ts';
import type { ApiDeps } from './deps.ts';
import { checkUrl } from './egress-check.ts';

type SourceDeps = Pick<ApiDeps, 'egressPolicy' | 'resolveHost' | 'db' | 'git' | 'sourceHosts' | 'sourceLogins'>;

const testCloneMs = 30_000;
const checkMs = 10_000;

/** `whsec_` and 32 random bytes: the form of Standard Webhooks; GitHub takes the whole text as its secret. */
export function newSigningSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`;
}

/**
 * Clones the newest commit of a binding's code and throws it away (docs/product.md, section 5). `pointer` is where the binding
 * stands in the body. Throws 422 with `source.source_account_invalid`, `url.forbidden`, `source.credential_refused`,
 * `source.not_authorized`, `source.not_found` or `source.not_reachable`.
 */
export async function testSource(
  deps: SourceDeps,
  { instanceId, binding, pointer }: { instanceId: string; binding: SourceBindingDefinition; pointer: string },
): Promise<SourceAccountRow> {
  const account = await findSourceAccount(deps.db, binding.sourceAccount);
  if (account === undefined || account.instance_id !== instanceId) throw unknownAccount(binding.sourceAccount, pointer);
  const access = accessOf(account);
  const url = cloneUrl(access, binding);
  await checkUrl(deps, { url, pointer: `${pointer}/sourceAccount` });
  try {
    await cloneOnce(deps, access, url);
  } catch (error) {
    throw refusedSource(error, pointer);
  }
  return account;
}

async function cloneOnce(
  { git, sourceHosts, sourceLogins }: SourceDeps,
  access: SourceAccess,
  url: string,
): Promise<void> {
  const signal = AbortSignal.timeout(testCloneMs);
  const credential = await sourceLogins.git(access, { signal });
  try {
    await git.cloneTest(url, { credential, caCertificate: access.caCertificate, signal });
  } catch (error) {
    // git cannot tell a revoked token from one without the right; the host's API can.
    const isDoubtful = error instanceof SourceError && error.code === 'source.not_authorized';
    if (isDoubtful) await checkCredential({ sourceHosts }, access, await sourceLogins.secret(access, { signal }));
    throw error;
  }
}

/** Asks the host whether it takes a credential; throws a `SourceError` only when it clearly does not. */
export async function checkCredential(
  { sourceHosts }: Pick<ApiDeps, 'sourceHosts'>,
  { host, baseUrl, caCertificate }: Pick<SourceAccess, 'host' | 'baseUrl' | 'caCertificate'>,
  secret: HostSecret | null,
): Promise<void> {
  if (secret === null) return;
  const client = sourceHosts.client({ host, baseUrl, caCertificate, secret });
  try {
    await client?.credentialCheck({ signal: AbortSignal.timeout(checkMs) });
  } catch (error) {
    if (error instanceof HostError && error.kind !== 'refused') return;
    if (!(error instanceof HostError)) throw error;
    const text = `${error.message} It is wrong, has expired or was revoked: make a new one and enter it.`;
    throw new SourceError('source.credential_refused', text, { cause: error });
  }
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
  const isOfAccount = code === 'source.credential_refused';
  return invalidRequest([{ pointer: `${pointer}/${isOfAccount ? 'sourceAccount' : 'codeRepository'}`, code, message }]);
}

/** Stores a binding with a new hook secret; the hook itself is installed after the commit (`api/source-webhook.ts`). */
export async function insertBinding(
  trx: Database,
  deps: Pick<ApiDeps, 'secretBox' | 'clock'>,
  {
    repositoryId,
    namespaceId,
    account,
    binding,
  }: { repositoryId: string; namespaceId: string; account: SourceAccountRow; binding: SourceBindingDefinition },
): Promise<{ row: SourceBindingRow; secret: string }> {
  const secret = newSigningSecret();
  const row = await insertSourceBinding(trx, {
    repository_id: repositoryId,
    source_account_id: account.id,
    code_namespace: binding.codeNamespace,
    code_repository: binding.codeRepository.replace(/\.git$/, ''),
    hook_id: randomBytes(16).toString('base64url'),
    hook_secret_ref: await insertSecret(trx, deps.secretBox, { ownerId: namespaceId, kind: 'hook', value: secret }),
    created_at: deps.clock(),
  });
  return { row, secret };
}
