import { once } from 'node:events';
import { createServer, request, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { z } from 'zod';
import type { ApiClient } from '../../stack/api-client.ts';
import { stackApi, stackFile, type Checkout } from './stack-world.ts';

const reasonSchema = z.looseObject({ code: z.string(), text: z.string(), fault: z.string() }).nullable();
const buildSchema = z.looseObject({
  id: z.string(),
  status: z.string(),
  stage: z.string().nullable(),
  digest: z.string().nullable(),
  partial: z.boolean(),
  reason: reasonSchema,
  architectures: z.array(
    z.looseObject({
      platform: z.string(),
      status: z.string(),
      digest: z.string().nullable(),
      cachedSteps: z.number().nullable(),
      reused: z.boolean(),
    }),
  ),
});
/** A build as the API answers it, as far as tests look at it. */
export type ApiBuild = z.infer<typeof buildSchema>;

const idSchema = z.looseObject({ id: z.string() });
const logSchema = z.object({ items: z.array(z.looseObject({ stage: z.string(), text: z.string() })) });
const endedStatuses = ['success', 'failed', 'canceled'];

/** A code source that stops answering when it is told to: everything but the clone itself still works then. */
export interface StallingSource {
  readonly url: string;
  /** From now on a fetch is never answered; resolves when the first one came. */
  stall(): Promise<void>;
  goOn(): void;
  close(): Promise<void>;
}

/** Stands before the stack's git server. */
export async function startStallingSource(): Promise<StallingSource> {
  const upstream = new URL(stackFile().sample.gitUrl);
  let isStalling = false;
  let fetched = Promise.withResolvers<void>();
  const server = createServer((incoming, answer) => {
    void (async () => {
      const body = await readBody(incoming);
      if (isStalling && isFetch(incoming, body)) return fetched.resolve();
      const { method, url, headers } = incoming;
      const onward = request(
        { host: upstream.hostname, port: upstream.port, method, path: url, headers },
        (response) => {
          answer.writeHead(response.statusCode ?? 502, response.headers);
          response.pipe(answer);
        },
      );
      onward.on('error', () => answer.destroy());
      return onward.end(body);
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port }: AddressInfo = Object(server.address());
  return {
    url: `http://127.0.0.1:${port}`,
    stall: () => {
      isStalling = true;
      fetched = Promise.withResolvers();
      return fetched.promise;
    },
    goOn: () => (isStalling = false),
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function readBody(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function isFetch({ headers }: IncomingMessage, body: Buffer): boolean {
  const text = headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
  return text.includes('command=fetch');
}

/** One repository with one build rule, outside any chain. */
export interface BuiltRepository {
  readonly id: string;
  readonly name: string;
  readonly ruleId: string;
}

/** A namespace of its own in the running stack, whose repositories build the sample's code from the source given. */
export interface LifecycleWorld {
  readonly api: ApiClient;
  readonly namespaceId: string;
  addRepository(name: string, rule: Readonly<Record<string, unknown>>): Promise<BuiltRepository>;
  /** Presses the Build button for a ref; answers the build's id. */
  press(repository: BuiltRepository, ref: string): Promise<string>;
  rebuild(id: string, body: unknown): Promise<string>;
  cancel(id: string): Promise<void>;
  /** Waits for a build to be as asked for, by default ended. */
  untilBuild(id: string, isDone?: (build: ApiBuild) => boolean): Promise<ApiBuild>;
  /** Waits for a line of the log, by stage and text. */
  untilLine(id: string, isWanted: (line: { stage: string; text: string }) => boolean): Promise<void>;
  log(id: string): Promise<string>;
  /** Manifest, configuration and layers as the registry holds them. */
  imageParts(path: string, digest: string): Promise<readonly Buffer[]>;
}

const namespace = 'lifecycle';

export async function createLifecycleWorld({
  source,
  checkout,
}: {
  source: StallingSource;
  checkout: Checkout;
}): Promise<LifecycleWorld> {
  const api = stackApi();
  const post = (path: string, body: unknown) => api.call('POST', path, { body, answer: idSchema });
  const { id: namespaceId } = await post('/v1/instances/hangzhou/namespaces', { name: namespace });
  const header = await checkout.git('config', 'http.extraHeader');
  const [username = '', password = ''] = Buffer.from(header.split(' ').at(-1) ?? '', 'base64')
    .toString()
    .split(':');
  const account = await post('/v1/instances/hangzhou/source-accounts', {
    host: 'git',
    baseUrl: source.url,
    credential: { username, password },
  });
  const readLog = (id: string) => api.call('GET', `/v1/builds/${id}/log?limit=5000`, { answer: logSchema });
  return {
    api,
    namespaceId,
    addRepository: async (name, rule) => {
      const { id } = await post(`/v1/namespaces/${namespaceId}/repositories`, {
        name,
        codeSource: { sourceAccount: account.id, codeNamespace: 'shop', codeRepository: 'web' },
        buildRules: [rule],
      });
      const rules = z.object({ items: z.array(idSchema) });
      const { items } = await api.call('GET', `/v1/repositories/${id}/build-rules`, { answer: rules });
      return { id, name, ruleId: items[0]?.id ?? '' };
    },
    press: async ({ ruleId }, ref) => (await post(`/v1/build-rules/${ruleId}/builds`, { ref })).id,
    rebuild: async (id, body) => (await post(`/v1/builds/${id}/rebuild`, body)).id,
    cancel: async (id) => {
      await post(`/v1/builds/${id}/cancel`, {});
    },
    untilBuild: async (id, isDone = ({ status }) => endedStatuses.includes(status)) =>
      api.until(`/v1/builds/${id}`, { answer: buildSchema, isDone, everyMs: 100 }),
    untilLine: async (id, isWanted) => {
      const isDone = ({ items }: z.infer<typeof logSchema>) => items.some(isWanted);
      await api.until(`/v1/builds/${id}/log?limit=5000`, { answer: logSchema, isDone, everyMs: 100 });
    },
    log: async (id) => (await readLog(id)).items.map(({ text }) => text).join('\n'),
    imageParts: (path, digest) => readImage(api, { path, digest }),
  };
}

async function readImage(api: ApiClient, { path, digest }: { path: string; digest: string }): Promise<Buffer[]> {
  const { url, instances } = stackFile();
  const registry = instances.find(({ name }) => name === 'hangzhou')?.registryUrl;
  const login = await api.call('POST', '/v1/instances/hangzhou/authorization-tokens', {
    body: {},
    answer: z.object({ username: z.string(), token: z.string() }),
  });
  const basic = Buffer.from(`${login.username}:${login.token}`).toString('base64');
  const asked = await fetch(`${url}/auth/token?service=hangzhou&scope=repository:${path}:pull`, {
    headers: { authorization: `Basic ${basic}` },
  });
  const { token } = z.looseObject({ token: z.string() }).parse(await asked.json());
  const accept = 'application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json';
  const get = async (place: string) => {
    const answer = await fetch(`${registry}/v2/${path}/${place}`, {
      headers: { authorization: `Bearer ${token}`, accept },
    });
    if (!answer.ok) throw new Error(`${place} of ${path}: ${answer.status}`);
    return Buffer.from(await answer.arrayBuffer());
  };
  const manifest = await get(`manifests/${digest}`);
  const { config, layers } = z
    .looseObject({
      config: z.looseObject({ digest: z.string() }),
      layers: z.array(z.looseObject({ digest: z.string() })),
    })
    .parse(JSON.parse(manifest.toString()));
  const blobs = await Promise.all([config, ...layers].map((blob) => get(`blobs/${blob.digest}`)));
  return [manifest, ...blobs.map((blob) => (blob[0] === 0x1f && blob[1] === 0x8b ? gunzipSync(blob) : blob))];
}
