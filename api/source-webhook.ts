import { HostError } from '../domain/source-host-error.ts';
import type { SourceHostClient } from '../activities/drivers/source-host.ts';
import { openSecret } from '../db/repositories/secret.ts';
import { getSourceAccount } from '../db/repositories/source-account.ts';
import { accessOf } from '../db/repositories/source-address.ts';
import type { SourceAccess } from '../db/repositories/source-address.ts';
import { setHookState } from '../db/repositories/source-binding.ts';
import type { SourceBindingRow } from '../db/tables/source.ts';
import type { Reason } from '../domain/errors.ts';
import { SourceError } from '../domain/source-error.ts';
import type { SourceHost } from '../domain/source.ts';
import type { ApiDeps } from './deps.ts';

/** What installing and removing hooks takes. */
export type WebhookDeps = Pick<ApiDeps, 'db' | 'config' | 'log' | 'secretBox' | 'sourceHosts' | 'sourceLogins'>;

/** A hook's address and, once, its secret; where Slipway could not install it, why, and what people do instead. */
export interface Hook {
  readonly url: string;
  readonly secret: string | null;
  readonly installed: boolean;
  readonly issue: Reason | null;
  readonly instructions: string;
}

/** A few calls of a host, one after the other. */
const installMs = 30_000;

/**
 * Installs the binding's webhook at its host, or brings it up to date, and notes how that went. A host that does not let us is no
 * failure: the answer says why, with the address to paste. `newSecret` is shown in the answer.
 */
export async function installHook(
  deps: WebhookDeps,
  binding: SourceBindingRow,
  { newSecret }: { newSecret: string | null },
): Promise<Hook> {
  const access = accessOf(await getSourceAccount(deps.db, binding.source_account_id));
  const secret = newSecret ?? (await openSecret(deps.db, deps.secretBox, binding.hook_secret_ref));
  const state = await tryInstall(deps, { access, binding, secret });
  await setHookState(deps.db, binding.repository_id, state);
  return hookOf(deps, {
    binding: { ...binding, hook_ref: state.hookRef, hook_issue: state.issue },
    access,
    secret: newSecret,
  });
}

interface HookState {
  readonly hookRef: string | null;
  readonly issue: Reason | null;
}

async function tryInstall(
  deps: WebhookDeps,
  { access, binding, secret }: { access: SourceAccess; binding: SourceBindingRow; secret: string },
): Promise<HookState> {
  // A plain git server has no hooks to install, and that is no fault.
  if (access.host === 'git') return { hookRef: null, issue: null };
  try {
    const signal = AbortSignal.timeout(installMs);
    const client = await openClient(deps, access, signal);
    if (client === null)
      return { hookRef: null, issue: notInstalled('The source account has no credential for the host.') };
    const hook = { url: hookUrl(deps, binding), secret };
    return { hookRef: await client.hookInstall(codeOf(binding), hook, { signal }), issue: null };
  } catch (error) {
    if (error instanceof HostError || error instanceof SourceError)
      return { hookRef: null, issue: notInstalled(error.message) };
    throw error;
  }
}

/** Takes the hook Slipway installed away from its host, as far as the host lets us; unbinding does not wait for it. */
export async function removeHook(deps: WebhookDeps, binding: SourceBindingRow): Promise<void> {
  const { hook_ref: hookRef, repository_id: repositoryId } = binding;
  if (hookRef === null) return;
  try {
    const signal = AbortSignal.timeout(installMs);
    const access = accessOf(await getSourceAccount(deps.db, binding.source_account_id));
    const client = await openClient(deps, access, signal);
    await client?.hookRemove(codeOf(binding), hookRef, { signal });
  } catch (error) {
    deps.log.warn(
      { err: error, repositoryId },
      'the webhook of an unbound repository could not be removed at its host',
    );
  }
}

/** How many hosts are asked at once. */
const removeAtOnce = 8;

/** The same for many, a few at a time; what a slow host keeps open after a minute stays there. */
export async function removeHooks(deps: WebhookDeps, bindings: readonly SourceBindingRow[]): Promise<void> {
  const late = AbortSignal.timeout(2 * installMs);
  for (let from = 0; from < bindings.length && !late.aborted; from += removeAtOnce)
    await Promise.all(bindings.slice(from, from + removeAtOnce).map((binding) => removeHook(deps, binding)));
}

async function openClient(
  { sourceHosts, sourceLogins }: WebhookDeps,
  access: SourceAccess,
  signal: AbortSignal,
): Promise<SourceHostClient | null> {
  const secret = await sourceLogins.secret(access, { signal });
  return secret === null ? null : sourceHosts.client({ ...access, secret });
}

function codeOf(binding: SourceBindingRow) {
  return { codeNamespace: binding.code_namespace, codeRepository: binding.code_repository.replace(/\.git$/, '') };
}

function notInstalled(why: string): Reason {
  return {
    code: 'source.hook_not_installed',
    params: {},
    text: `The webhook was not installed, so pushes are only found every ten minutes: ${why} Give the credential the right and bind again, or add the webhook by hand.`,
  };
}

function hookUrl({ config }: Pick<ApiDeps, 'config'>, { hook_id: hookId }: Pick<SourceBindingRow, 'hook_id'>): string {
  return `${config.SLIPWAY_URL}/hooks/${hookId}`;
}

/** How a binding's hook is shown. */
export function hookOf(
  deps: Pick<ApiDeps, 'config'>,
  {
    binding,
    access,
    secret,
  }: {
    binding: Pick<SourceBindingRow, 'hook_id' | 'hook_ref' | 'hook_issue'>;
    access: Pick<SourceAccess, 'host'>;
    secret: string | null;
  },
): Hook {
  const url = hookUrl(deps, binding);
  return {
    url,
    secret,
    installed: binding.hook_ref !== null,
    issue: binding.hook_issue,
    instructions: instructions[access.host](url),
  };
}

const instructions: Readonly<Record<SourceHost, (url: string) => string>> = {
  github: (url) =>
    `In the repository's settings under Webhooks add ${url} with content type application/json, the secret shown once, and the push event.`,
  gitlab: (url) =>
    `In the project's settings under Webhooks add ${url} with the secret shown once as signing token (before GitLab 19: as secret token), and the push and tag push events.`,
  gitee: (url) =>
    `In the repository's management under WebHooks add ${url} with the secret shown once as signature key, and the push and tag push events.`,
  bitbucket: (url) =>
    `In the repository's settings under Webhooks add ${url} with the secret shown once and the trigger "Repository push".`,
  bitbucket_data_center: (url) =>
    `In the repository's settings under Webhooks add ${url} with the secret shown once and the event "Repository: Push".`,
  gitea: (url) =>
    `In the repository's settings under Webhooks add a Gitea (or Forgejo) webhook ${url} with content type application/json, the secret shown once, and push events.`,
  git: (url) =>
    `After each push send {"ref","before","after"} as JSON by POST to ${url}, signed as Standard Webhooks (webhook-id, webhook-timestamp, webhook-signature) with the secret shown once.`,
};
