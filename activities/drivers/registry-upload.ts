import { repositoryAccess, type RegistryAccess } from './registry-auth.ts';
import { progressBytes, type BlobIdentity } from './registry-blob.ts';
import { RegistryError } from '../../domain/registry-error.ts';
import { brokenProtocol, errorFromFailure } from './registry-errors.ts';
import type { CallOptions, RegistryAnswer, RegistryHttp } from './registry-http.ts';
import { backOff } from './registry-retry.ts';

export interface BlobUpload extends BlobIdentity, CallOptions {
  readonly repository: string;
  /** Opens the content at a byte; called again where the destination lost what it was sent. */
  readonly open: (offset: number, signal: AbortSignal) => Promise<AsyncIterable<Uint8Array>>;
  /** Repositories of the same registry that may hold the blob already; the first three are asked. */
  readonly mountFrom?: readonly string[];
}

/** An open upload: where its next request goes, and how many bytes the registry says it holds. */
interface Session {
  readonly location: URL;
  readonly accepted: number;
}

const maxMountTries = 3;
const cancelTimeoutMs = 2_000;

/**
 * Brings a blob into a repository: mounted from another one, else sent in one streamed request that goes on at the last
 * accepted byte when it breaks. The upload is opened while the content is.
 */
export async function blobUpload(http: RegistryHttp, upload: BlobUpload): Promise<'mounted' | 'uploaded'> {
  const mount = await mountFromAny(http, upload);
  if (mount === 'mounted') return mount;

  let session: Session | undefined = mount;
  for (let failures = 0; ;) {
    const acceptedBefore = session?.accepted ?? 0;
    const halves = new AbortController();
    const attempt: Attempt = { session, hasBegun: false, signal: AbortSignal.any([upload.signal, halves.signal]) };
    try {
      await send(http, upload, attempt);
      return 'uploaded';
    } catch (error) {
      // A download without its upload, or the other way round, would hold a connection.
      halves.abort();
      const failure = errorFromFailure(error, describe(http, upload));
      if (upload.signal.aborted || isFinal(failure, attempt) || failures + 1 >= http.limits.retry.attempts) {
        await uploadCancel(http, upload, await opened(attempt));
        upload.signal.throwIfAborted();
        throw failure;
      }
      session = await resumable(http, upload, { session: await opened(attempt), failure });
      failures = (session?.accepted ?? 0) - acceptedBefore >= progressBytes ? 1 : failures + 1;
      await backOff(failure, failures, { policy: http.limits.retry, signal: upload.signal, onRetry: upload.onRetry });
    }
  }
}

/** Tries to mount; false, and nothing left open, when the registry does not do it or the blob is not there. */
export async function blobMount(http: RegistryHttp, upload: Omit<BlobUpload, 'open'>): Promise<boolean> {
  const mount = await mountFromAny(http, upload);
  if (mount === 'mounted') return true;
  if (mount !== undefined) await uploadCancel(http, upload, mount);
  return false;
}

/** One try to send the content. `session` is what it leaves open when it fails. */
interface Attempt {
  session: Session | undefined;
  starting?: Promise<Session>;
  hasBegun: boolean;
  readonly signal: AbortSignal;
}

async function send(http: RegistryHttp, upload: BlobUpload, attempt: Attempt): Promise<void> {
  const { session: open, signal } = attempt;
  const offset = open?.accepted ?? 0;
  async function start(): Promise<Session> {
    attempt.starting = uploadStart(http, { ...upload, signal: lasting(signal) });
    attempt.session = await attempt.starting;
    return attempt.session;
  }
  const [session, body] = await Promise.all([open ?? start(), upload.open(offset, signal)]);
  attempt.hasBegun = true;
  if (offset === 0) return finish(http, upload, { session, body, signal });
  attempt.session = await sendRest(http, upload, { session, body, signal });
  return finish(http, upload, { session: attempt.session, signal });
}

/** What the registry opened for an attempt, also when the attempt ended before it was told. */
async function opened({ session, starting }: Attempt): Promise<Session | undefined> {
  return session ?? starting?.catch(() => undefined);
}

/** Ends a moment after `signal`: an upload that is just being opened can only be given back once its address is known. */
function lasting(signal: AbortSignal): AbortSignal {
  const late = new AbortController();
  const end = () => void setTimeout(() => late.abort(signal.reason), cancelTimeoutMs).unref();
  if (signal.aborted) end();
  else signal.addEventListener('abort', end, { once: true });
  return late.signal;
}

interface Sending {
  readonly session: Session;
  readonly body: AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
}

async function sendRest(
  http: RegistryHttp,
  { repository, size }: BlobUpload,
  { session, body, signal }: Sending,
): Promise<Session> {
  const answer = await http.stream({
    method: 'PATCH',
    target: session.location,
    access: pushAccess(repository),
    headers: { ...octets(size - session.accepted), 'content-range': `${session.accepted}-${size - 1}` },
    body,
    expect: [202],
    signal,
  });
  await answer.body.dump();
  return { location: nextLocation(answer), accepted: size };
}

/** The closing PUT, with the whole content or with none left to send. */
async function finish(
  http: RegistryHttp,
  upload: BlobUpload,
  { session, body, signal }: Omit<Sending, 'body'> & { readonly body?: AsyncIterable<Uint8Array> },
): Promise<void> {
  const { repository, digest, size } = upload;
  // The location is the registry's own text: added to, never rewritten.
  const { href, search } = session.location;
  const target = new URL(`${href}${search === '' ? '?' : '&'}digest=${digest}`);
  const answer = await http.stream({
    method: 'PUT',
    target,
    access: pushAccess(repository),
    headers: octets(body === undefined ? 0 : size),
    ...(body === undefined || size === 0 ? {} : { body }),
    expect: [201, 204],
    signal,
  });
  await answer.body.dump();
  const stored = answer.headers['docker-content-digest'] ?? digest;
  if (stored === digest) return;
  throw new RegistryError(`${describe(http, upload)} was stored under the digest ${String(stored)}.`, {
    issue: 'verify_failed',
    isPermanent: true,
  });
}

/** Once begun, a lost session (404, 416) and content the registry found damaged start over; the rest decides for itself. */
function isFinal({ isPermanent, status, code }: RegistryError, { hasBegun }: Attempt): boolean {
  const isLost = status === 404 || status === 416 || code === 'DIGEST_INVALID';
  return isPermanent && !(hasBegun && isLost);
}

async function mountFromAny(
  http: RegistryHttp,
  upload: Omit<BlobUpload, 'open'>,
): Promise<'mounted' | Session | undefined> {
  let open: Session | undefined;
  for (const from of (upload.mountFrom ?? []).slice(0, maxMountTries)) {
    await uploadCancel(http, upload, open);
    const answer = await mountOnce(http, upload, from);
    if (answer?.status === 201) return 'mounted';
    open = answer === undefined ? undefined : { location: nextLocation(answer), accepted: 0 };
  }
  return open;
}

/** A refused mount is no failure of the copy: the blob is sent instead. */
async function mountOnce(
  http: RegistryHttp,
  upload: Omit<BlobUpload, 'open'>,
  from: string,
): Promise<RegistryAnswer | undefined> {
  const { repository, digest, signal, onRetry } = upload;
  const query = new URLSearchParams({ mount: digest, from });
  try {
    return await http.read({
      method: 'POST',
      target: `/v2/${repository}/blobs/uploads/?${query.toString()}`,
      access: [...pushAccess(repository), ...repositoryAccess(from, ['pull'])],
      expect: [201, 202],
      signal,
      onRetry,
    });
  } catch (error) {
    if (error instanceof RegistryError && error.isPermanent) return undefined;
    throw error;
  }
}

async function uploadStart(http: RegistryHttp, { repository, signal, onRetry }: BlobUpload): Promise<Session> {
  const answer = await http.read({
    method: 'POST',
    target: `/v2/${repository}/blobs/uploads/`,
    access: pushAccess(repository),
    expect: [202],
    signal,
    onRetry,
  });
  return { location: nextLocation(answer), accepted: 0 };
}

/** Asks the registry what it holds of a broken upload. Undefined when starting over is all that is left. */
async function resumable(
  http: RegistryHttp,
  upload: BlobUpload,
  { session, failure }: { session: Session | undefined; failure: RegistryError },
): Promise<Session | undefined> {
  if (session === undefined || failure.status === 404 || failure.code === 'DIGEST_INVALID') return undefined;
  const answer = await http.read({
    method: 'GET',
    target: session.location,
    access: pushAccess(upload.repository),
    expect: [204, 200, 404],
    signal: upload.signal,
    onRetry: upload.onRetry,
  });
  // "0-0" is said for no byte and for one: both are worth nothing.
  const last = Number(/^(?:bytes=)?0-(\d+)$/.exec(String(answer.headers['range']))?.[1] ?? 0);
  const location = answer.headers['location'] === undefined ? session.location : nextLocation(answer);
  if (answer.status !== 404 && last > 0 && last < upload.size) return { location, accepted: last + 1 };
  if (answer.status !== 404) await uploadCancel(http, upload, { location, accepted: 0 });
  return undefined;
}

/** Gives an unfinished upload back, also when the caller is already gone. What fails here is swept by the registry itself. */
async function uploadCancel(
  http: RegistryHttp,
  { repository }: { repository: string },
  session: Session | undefined,
): Promise<void> {
  if (session === undefined) return;
  const signal = AbortSignal.timeout(cancelTimeoutMs);
  const deletion = http.read({
    method: 'DELETE',
    target: session.location,
    access: pushAccess(repository),
    expect: [204, 202, 200, 404, 405],
    signal,
  });
  await deletion.catch(() => undefined);
}

function nextLocation({ headers, url }: RegistryAnswer): URL {
  const location = headers['location'];
  if (typeof location === 'string' && URL.canParse(location, url.href)) return new URL(location, url);
  throw brokenProtocol(`${url.host} opened an upload without saying where (no Location).`);
}

function pushAccess(repository: string): readonly RegistryAccess[] {
  return repositoryAccess(repository, ['pull', 'push']);
}

function octets(length: number): Record<string, string> {
  return { 'content-type': 'application/octet-stream', 'content-length': String(length) };
}

function describe(http: RegistryHttp, { repository, digest }: { repository: string; digest: string }): string {
  return `The upload of ${http.origin.host}/${repository}@${digest}`;
}
