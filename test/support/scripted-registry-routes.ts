import { createHash, randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

export interface StoredRepository {
  readonly blobs: Map<string, Buffer>;
  readonly manifests: Map<string, { mediaType: string; bytes: Buffer }>;
  readonly tags: Map<string, string>;
}

/** One request as it arrived; `what` is `METHOD /path?query`, and uploads have their id replaced by `<id>`. */
export interface SeenRequest {
  readonly what: string;
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
}

export interface ScriptedRegistryOptions {
  /** Answers the referrers API and says `OCI-Subject`. Default false, as distribution. */
  readonly hasReferrersApi?: boolean;
  /** Upload locations as whole URLs with a query, default paths without one. */
  readonly isLocationAbsolute?: boolean;
}

export interface Context extends ScriptedRegistryOptions {
  readonly repositories: Map<string, StoredRepository>;
  readonly uploads: Map<string, Buffer>;
  readonly origin: () => string;
}

export interface Exchange {
  readonly context: Context;
  readonly request: SeenRequest;
  readonly message: IncomingMessage;
  readonly response: ServerResponse;
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** An error as registries word it. */
export function refuse(
  response: ServerResponse,
  status: number,
  code: string,
  headers: Record<string, string> = {},
): void {
  const body = JSON.stringify({ errors: [{ code, message: `the registry says ${code}` }] });
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);
}

export function repositoryOf({ repositories }: Context, name: string): StoredRepository {
  const known = repositories.get(name) ?? { blobs: new Map(), manifests: new Map(), tags: new Map() };
  repositories.set(name, known);
  return known;
}

const routes: readonly (readonly [RegExp, (exchange: Exchange, ...parts: string[]) => void | Promise<void>])[] = [
  [/^\/v2\/$/, ({ response }) => void response.end('{}')],
  [/^\/v2\/(.+)\/tags\/list$/, tags],
  [/^\/v2\/(.+)\/referrers\/(sha256:[0-9a-f]+)$/, referrers],
  [/^\/v2\/(.+)\/blobs\/uploads\/$/, startUpload],
  [/^\/v2\/(.+)\/blobs\/uploads\/([0-9a-f-]+)$/, upload],
  [/^\/v2\/(.+)\/blobs\/(sha256:[0-9a-f]+)$/, blob],
  [/^\/v2\/(.+)\/manifests\/(.+)$/, manifest],
];

/** Answers as a registry does. */
export async function serve(exchange: Exchange): Promise<void> {
  for (const [pattern, handler] of routes) {
    const parts = pattern.exec(exchange.request.path);
    if (parts !== null) return handler(exchange, ...parts.slice(1));
  }
  refuse(exchange.response, 404, 'NOT_FOUND');
}

function tags({ context, response }: Exchange, name = ''): void {
  const { tags: named, manifests } = repositoryOf(context, name);
  if (manifests.size === 0) return refuse(response, 404, 'NAME_UNKNOWN');
  const all = [...named.keys()];
  response.end(JSON.stringify({ name, tags: all.length === 0 ? null : all }));
}

function referrers({ context, response }: Exchange, name = '', subject = ''): void {
  if (context.hasReferrersApi !== true) return refuse(response, 404, 'NOT_FOUND');
  const manifests = [...repositoryOf(context, name).manifests].flatMap(([digest, { mediaType, bytes }]) => {
    const body = JSON.parse(bytes.toString());
    return body.subject?.digest === subject
      ? [{ mediaType, digest, size: bytes.length, artifactType: body.artifactType }]
      : [];
  });
  response.end(JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests }));
}

function startUpload({ context, request, response }: Exchange, name = ''): void {
  const digest = request.query.get('mount') ?? '';
  const mounted = context.repositories.get(request.query.get('from') ?? '')?.blobs.get(digest);
  if (mounted !== undefined) {
    repositoryOf(context, name).blobs.set(digest, mounted);
    response.writeHead(201, { location: `/v2/${name}/blobs/${digest}` }).end();
    return;
  }
  const id = randomUUID();
  context.uploads.set(id, Buffer.alloc(0));
  accepted({ context, response }, { name, id });
}

function accepted(
  { context, response }: Pick<Exchange, 'context' | 'response'>,
  { name, id, status = 202 }: { name: string; id: string; status?: number },
): void {
  const path = `/v2/${name}/blobs/uploads/${id}`;
  const held = context.uploads.get(id)?.length ?? 0;
  const location = context.isLocationAbsolute === true ? `${context.origin()}${path}?state=a%2Fb` : path;
  response.writeHead(status, { location, range: `0-${Math.max(0, held - 1)}` }).end();
}

async function upload({ context, request, message, response }: Exchange, name = '', id = ''): Promise<void> {
  if (!context.uploads.has(id)) return refuse(response, 404, 'BLOB_UPLOAD_UNKNOWN');
  if (request.method === 'DELETE') {
    context.uploads.delete(id);
    response.writeHead(204).end();
    return;
  }
  if (request.method === 'GET') return accepted({ context, response }, { name, id, status: 204 });
  const from = /^(\d+)-/.exec(request.headers['content-range'] ?? '')?.[1];
  if (from !== undefined && Number(from) !== context.uploads.get(id)?.length)
    return refuse(response, 416, 'BLOB_UPLOAD_INVALID');
  await receive(context, message, id);
  if (request.method === 'PATCH') return accepted({ context, response }, { name, id });
  finishUpload({ context, response }, { name, id, digest: request.query.get('digest') ?? '' });
}

/** Keeps every byte as it comes, so that what arrived before a cut is held. */
async function receive(
  { uploads }: Pick<Context, 'uploads'>,
  message: AsyncIterable<Buffer>,
  id: string,
): Promise<void> {
  for await (const chunk of message) uploads.set(id, Buffer.concat([uploads.get(id) ?? Buffer.alloc(0), chunk]));
}

function finishUpload(
  { context, response }: Pick<Exchange, 'context' | 'response'>,
  { name, id, digest }: { name: string; id: string; digest: string },
): void {
  const bytes = context.uploads.get(id) ?? Buffer.alloc(0);
  context.uploads.delete(id);
  if (digestOf(bytes) !== digest) return refuse(response, 400, 'DIGEST_INVALID');
  repositoryOf(context, name).blobs.set(digest, bytes);
  response.writeHead(201, { location: `/v2/${name}/blobs/${digest}`, 'docker-content-digest': digest }).end();
}

function blob({ context, request, response }: Exchange, name = '', digest = ''): void {
  const bytes = repositoryOf(context, name).blobs.get(digest);
  if (bytes === undefined) return refuse(response, 404, 'BLOB_UNKNOWN');
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const headers = { 'content-length': bytes.length - from, 'content-type': 'application/octet-stream' };
  if (from === 0) response.writeHead(200, headers);
  else response.writeHead(206, { ...headers, 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` });
  response.end(request.method === 'HEAD' ? undefined : bytes.subarray(from));
}

async function manifest({ context, request, message, response }: Exchange, name = '', reference = ''): Promise<void> {
  const repository = repositoryOf(context, name);
  if (request.method === 'PUT') return putManifest({ context, request, message, response }, name, reference);
  const digest = repository.tags.get(reference) ?? reference;
  const stored = repository.manifests.get(digest);
  if (request.method === 'DELETE') {
    repository.tags.delete(reference);
    repository.manifests.delete(reference);
    response.writeHead(stored === undefined ? 404 : 202).end();
    return;
  }
  if (stored === undefined) return refuse(response, 404, 'MANIFEST_UNKNOWN');
  response.writeHead(200, {
    'content-type': stored.mediaType,
    'content-length': stored.bytes.length,
    'docker-content-digest': digest,
  });
  response.end(request.method === 'HEAD' ? undefined : stored.bytes);
}

async function putManifest(
  { context, request, message, response }: Exchange,
  name: string,
  reference: string,
): Promise<void> {
  const repository = repositoryOf(context, name);
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  const digest = digestOf(bytes);
  const body = JSON.parse(bytes.toString());
  const parts = [body.config, ...(body.layers ?? [])].filter((part) => part?.mediaType.includes('.foreign.') === false);
  if (parts.some((part) => !repository.blobs.has(part.digest))) return refuse(response, 400, 'MANIFEST_BLOB_UNKNOWN');
  if (
    reference.includes(':') &&
    (body.manifests ?? []).some((child: { digest: string }) => !repository.manifests.has(child.digest))
  ) {
    return refuse(response, 400, 'MANIFEST_BLOB_UNKNOWN');
  }
  repository.manifests.set(digest, { mediaType: request.headers['content-type'] ?? '', bytes });
  if (!reference.includes(':')) repository.tags.set(reference, digest);
  const subject =
    context.hasReferrersApi === true && body.subject !== undefined ? { 'oci-subject': body.subject.digest } : {};
  response.writeHead(201, { 'docker-content-digest': digest, ...subject }).end();
}
