import type { Reason } from '../../domain/errors.ts';
import type { RunResult, RunStatus } from '../../domain/record.ts';
import type { CredentialKind } from '../../domain/source-credential.ts';
import type { CredentialState, InboxFilter, InboxOutcome, SourceChange, SourceHost } from '../../domain/source.ts';
import { get, readJson, send } from './api.ts';
import type { Instance, Page } from './api-types.ts';
import { query } from './path-builder.ts';

/** An instance's credential for a source host (docs/product.md, section 5). */
export interface SourceAccount {
  readonly id: string;
  readonly instance: string;
  /** What people call it; null: by its address. */
  readonly name: string | null;
  readonly host: SourceHost;
  readonly baseUrl: string;
  readonly caCertificate: string | null;
  readonly hasCredential: boolean;
  readonly credentialKind: CredentialKind | null;
  /** How many are bound through it. */
  readonly repositories: number;
  readonly createdAt: string;
}

/** A host that can be connected in the browser. */
export interface SourceAuthorization {
  readonly host: SourceHost;
  readonly baseUrl: string;
  readonly flow: 'oauth' | 'app';
}

export interface SourceAccountCheck {
  readonly state: CredentialState;
  readonly detail: string;
  readonly latencyMs: number;
}

/** The webhook of a binding; `secret` is there only in the answer that made it. */
export interface Hook {
  readonly url: string;
  readonly secret: string | null;
  readonly installed: boolean;
  readonly issue: Reason | null;
  readonly instructions: string;
}

/** One repository tied to one code repository. */
export interface SourceBinding {
  readonly sourceAccount: string;
  readonly codeNamespace: string;
  readonly codeRepository: string;
  readonly cloneUrl: string;
  readonly hook: Hook;
  readonly commitStatus: { readonly enabled: boolean; readonly issue: Reason | null };
  /** Why the source could not be read when it was last tried. */
  readonly issue: Reason | null;
  readonly reconciledAt: string | null;
  readonly lastEvent: { readonly event: string; readonly receivedAt: string } | null;
}
export type CodePlace = Pick<SourceBinding, 'sourceAccount' | 'codeNamespace' | 'codeRepository'>;

/** A run or build that an outcome names; `chain` is null where there is no Record. */
export interface NamedRun {
  readonly id: string;
  readonly chain: string | null;
  readonly number: number;
  readonly build: string | null;
  readonly status: RunStatus;
  readonly result: RunResult | null;
}

/** One ref a delivery told of. */
export type SourceEventChange = Pick<SourceChange, 'ref' | 'refType' | 'commit'> & InboxOutcome;

/** One delivery of the inbox with what became of it. */
export interface SourceEvent {
  readonly id: string;
  readonly deliveryId: string;
  readonly event: string;
  readonly state: 'pending' | 'handled';
  readonly outcome: InboxOutcome | null;
  readonly changes: readonly SourceEventChange[];
  readonly runs: readonly NamedRun[];
  readonly receivedAt: string;
}

export interface SourceRef {
  readonly type: 'branch' | 'tag';
  readonly name: string;
}
export interface SourceEntry {
  readonly path: string;
  readonly type: 'directory' | 'file' | 'link' | 'submodule';
}

export function listInstances(signal?: AbortSignal): Promise<Page<Instance>> {
  return get('/v1/instances?limit=100', signal);
}

export function listSourceAccounts(
  instance: string,
  cursor: string | undefined,
  signal?: AbortSignal,
): Promise<Page<SourceAccount>> {
  return get(`${accountsPath(instance)}${query({ limit: 100, cursor })}`, signal);
}

export function fetchSourceAccount(id: string, signal?: AbortSignal): Promise<SourceAccount> {
  return get(accountPath(id), signal);
}

export function listAuthorizations(instance: string, signal?: AbortSignal): Promise<Page<SourceAuthorization>> {
  return get(`${accountsPath(instance)}/authorizations`, signal);
}

/** A new account, or the change of one. What the definition leaves out stays. */
export async function saveSourceAccount(
  instance: string,
  definition: unknown,
  of: Pick<SourceAccount, 'id'> | null,
): Promise<void> {
  if (of === null) await send(accountsPath(instance), { method: 'POST', body: definition });
  else await send(accountPath(of.id), { method: 'PUT', body: definition });
}

export async function deleteSourceAccount(id: string): Promise<void> {
  await send(accountPath(id), { method: 'DELETE' });
}

export async function checkSourceAccount(id: string): Promise<SourceAccountCheck> {
  return readJson(await send(`${accountPath(id)}/check`, { method: 'POST' }));
}

/** The page of the host on which people consent; with `sourceAccount`, for that account's new credential. */
export async function beginAuthorization(
  instance: string,
  question: SourceAuthorization & { readonly sourceAccount?: string; readonly caCertificate?: string | null },
): Promise<{ readonly url: string }> {
  return readJson(await send(`${accountsPath(instance)}/authorizations`, { method: 'POST', body: question }));
}

export function fetchBinding(repository: string, signal?: AbortSignal): Promise<SourceBinding> {
  return get(bindingPath(repository), signal);
}

/** Binds or rebinds, after a test clone; the secret of a new hook is in the answer this once. */
export async function saveBinding(repository: string, place: CodePlace): Promise<SourceBinding> {
  return readJson(await send(bindingPath(repository), { method: 'PUT', body: place, timeoutMs: bindMs }));
}

export async function deleteBinding(repository: string): Promise<void> {
  await send(bindingPath(repository), { method: 'DELETE', timeoutMs: bindMs });
}

export async function rotateHookSecret(repository: string): Promise<Hook> {
  return readJson(await send(`${bindingPath(repository)}/rotate-secret`, { method: 'POST', timeoutMs: bindMs }));
}

export function listSourceEvents(
  repository: string,
  filter: { readonly outcome?: InboxFilter; readonly cursor?: string },
  signal?: AbortSignal,
): Promise<Page<SourceEvent>> {
  return get(
    `/v1/repositories/${encodeURIComponent(repository)}/source-events${query({ limit: 30, ...filter })}`,
    signal,
  );
}

/** Branches and tags whose name holds `q`, those that match best first. */
export function listSourceRefs(
  repository: string,
  q: string,
  signal?: AbortSignal,
): Promise<{ readonly items: readonly SourceRef[] }> {
  return get(`${bindingPath(repository)}/refs${query({ q })}`, signal);
}

/** What stands in a directory of the code. */
export function listSourceTree(
  repository: string,
  place: { readonly ref: string; readonly path: string },
  signal?: AbortSignal,
): Promise<{ readonly items: readonly SourceEntry[] }> {
  return get(`${bindingPath(repository)}/tree${query(place)}`, signal);
}

/** A test clone and the calls that install a webhook, 30 seconds each at most. */
const bindMs = 75_000;

function accountsPath(instance: string): string {
  return `/v1/instances/${encodeURIComponent(instance)}/source-accounts`;
}

function accountPath(id: string): string {
  return `/v1/source-accounts/${encodeURIComponent(id)}`;
}

function bindingPath(repository: string): string {
  return `/v1/repositories/${encodeURIComponent(repository)}/source-binding`;
}
