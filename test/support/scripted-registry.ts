import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import {
  digestOf,
  refuse,
  repositoryOf,
  serve,
  type Context,
  type ScriptedRegistryOptions,
  type SeenRequest,
  type StoredRepository,
} from './scripted-registry-routes.ts';

export { digestOf, refuse, type ScriptedRegistryOptions } from './scripted-registry-routes.ts';

/** Answers in place of the registry where `when` matches `what`; at most `times` times, default always. */
export interface Rule {
  readonly when: RegExp;
  times?: number;
  readonly answer: (response: ServerResponse, request: SeenRequest, body: IncomingMessage) => void | Promise<void>;
}

type ManifestBody = { readonly mediaType: string; readonly [field: string]: unknown };

export interface ScriptedRegistry {
  readonly url: string;
  readonly host: string;
  readonly requests: SeenRequest[];
  readonly rules: Rule[];
  /** Gives the challenge of the 401 a request below `/v2/` gets, or undefined to let it pass. */
  authorize: ((request: SeenRequest) => string | undefined) | undefined;
  /** What each open upload holds, by its id. */
  readonly uploads: Map<string, Buffer>;
  repository(name: string): StoredRepository;
  /** Stores a blob and returns its descriptor's digest and size. */
  addBlob(repository: string, bytes: Buffer): { digest: string; size: number };
  /** Stores a manifest as JSON, under its digest and the given tags. */
  addManifest(
    repository: string,
    body: ManifestBody,
    ...tags: string[]
  ): { mediaType: string; digest: string; size: number };
  /** The `what` of every request so far that matches. */
  seen(pattern: RegExp): readonly string[];
  close(): Promise<void>;
}

/** An OCI registry in memory that behaves, except where a rule of the test says otherwise. */
export async function startScriptedRegistry(options: ScriptedRegistryOptions = {}): Promise<ScriptedRegistry> {
  const requests: SeenRequest[] = [];
  const rules: Rule[] = [];
  let url = '';
  const context: Context = { ...options, repositories: new Map(), uploads: new Map(), origin: () => url };

  const server = createServer((message, response) => {
    const request = seenRequest(message);
    requests.push(request);
    const rule = rules.find(({ when, times }) => (times ?? 1) > 0 && when.test(request.what));
    if (rule?.times !== undefined) rule.times -= 1;
    const challenge = request.path.startsWith('/v2/') ? registry.authorize?.(request) : undefined;
    async function answer(): Promise<void> {
      if (rule !== undefined) return rule.answer(response, request, message);
      if (challenge !== undefined) return refuse(response, 401, 'UNAUTHORIZED', { 'www-authenticate': challenge });
      return serve({ context, request, message, response });
    }
    answer().catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the scripted registry has no port');
  const host = `127.0.0.1:${address.port}`;
  url = `http://${host}`;

  const registry: ScriptedRegistry = {
    url,
    host,
    requests,
    rules,
    authorize: undefined,
    uploads: context.uploads,
    repository: (name) => repositoryOf(context, name),
    addBlob(repository, bytes) {
      const digest = digestOf(bytes);
      repositoryOf(context, repository).blobs.set(digest, bytes);
      return { digest, size: bytes.length };
    },
    addManifest(repository, body, ...tags) {
      const bytes = Buffer.from(JSON.stringify(body));
      const digest = digestOf(bytes);
      const stored = repositoryOf(context, repository);
      stored.manifests.set(digest, { mediaType: body.mediaType, bytes });
      for (const tag of tags) stored.tags.set(tag, digest);
      return { mediaType: body.mediaType, digest, size: bytes.length };
    },
    seen: (pattern) => requests.map(({ what }) => what).filter((what) => pattern.test(what)),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return registry;
}

function seenRequest(message: IncomingMessage): SeenRequest {
  const url = new URL(message.url ?? '/', 'http://registry');
  const method = message.method ?? '';
  const path = url.pathname;
  const shown = `${path.replace(/\/blobs\/uploads\/[0-9a-f-]+$/, '/blobs/uploads/<id>')}${decodeURIComponent(url.search)}`;
  return { what: `${method} ${shown}`, method, path, query: url.searchParams, headers: message.headers };
}
