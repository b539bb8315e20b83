import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Agent } from 'undici';
import { z } from 'zod';
import { createRegistryClient } from '../activities/drivers/registry.ts';
import { paths } from '../console/src/path-builder.ts';
import { liveRunStatuses } from '../domain/record.ts';
import { type ApiClient, createApiClient } from './api-client.ts';
import { pushBaseImage, renewBaseImages } from './base-images.ts';
import { managedInstances } from './parts.ts';
import { createSampleChain, ensureInstances, moveSampleChain, type SampleWiring } from './sample-chain.ts';
import { prepareCheckout, pushCheckout, writeHook } from './sample-push.ts';
import type { StackSettings } from './settings.ts';
import type { Stack } from './stack.ts';

export interface SampleContext {
  readonly stack: Stack;
  readonly settings: StackSettings;
  readonly onProgress: (line: string) => void;
  readonly signal: AbortSignal;
}

const runSchema = z.looseObject({
  id: z.string(),
  status: z.string(),
  result: z.string().nullable(),
  reason: z.looseObject({ text: z.string() }).nullable(),
  source: z.looseObject({ commit: z.string() }).nullable(),
});
const loadedSchema = z.object({
  firstRun: z.string(),
  gitUrl: z.string(),
  receiverUrl: z.string(),
  triggerSecret: z.string(),
});
type LoadedSample = z.infer<typeof loadedSchema>;

/**
 * Fills a new stack: instances, base images, and (unless not wanted) the sample with its first run, all through the HTTP API
 * as a user would. A stack that has it already only gets its addresses corrected. Answers the lines to show.
 */
export async function loadSample({ stack, settings, onProgress, signal }: SampleContext): Promise<string[]> {
  const { addresses, keys, ports } = stack;
  const api = createApiClient({ url: addresses.url, token: keys.adminToken, signal });
  const registryUrls = Object.fromEntries(
    managedInstances.map(({ name }) => [name, `http://127.0.0.1:${ports[name]}`]),
  );
  await ensureInstances(api, { registryUrls });
  await pushBaseImages(api, { ...stack, signal });
  if (!settings.isSampleWanted) return consoleLines(api, addresses.url);

  const wiring: SampleWiring = {
    registryUrls,
    gitUrl: addresses.gitUrl,
    gitPassword: keys.passwords.git,
    receiverUrl: addresses.receiverUrl,
  };
  const checkout = await prepareCheckout(settings.home, { gitUrl: addresses.gitUrl, password: keys.passwords.git });
  const { firstRun } = await loadOnce(api, { wiring, checkout, settings, onProgress });
  const { result, status, reason } = await api.call('GET', `/v1/runs/${firstRun}`, { answer: runSchema });
  return [
    ...(await consoleLines(api, addresses.url)),
    `  First Record  ${addresses.url}${paths.record(firstRun)}`,
    `                ${result ?? status}: ${reason?.text ?? 'not ended yet'}`,
    `  Sample code   ${checkout} (change it, commit, git push)`,
  ];
}

/** Makes the base images anew where Debian has news, and hosts them; whoever asked for it builds anew then. */
export async function renewHostedImages({ stack, settings, onProgress, signal }: SampleContext): Promise<void> {
  const { cacheDir, env } = settings;
  const baseImages = await renewBaseImages({ cacheDir, env, onProgress, signal });
  const { addresses, keys, ports } = stack;
  const api = createApiClient({ url: addresses.url, token: keys.adminToken, signal });
  await pushBaseImages(api, { addresses, ports, baseImages, signal });
}

/** The base images are public, and hosted by the first instance: buildkitd is told to ask there for docker.io. */
async function pushBaseImages(
  api: ApiClient,
  { addresses, ports, baseImages, signal }: Pick<Stack, 'addresses' | 'ports' | 'baseImages'> & { signal: AbortSignal },
): Promise<void> {
  const [{ name }] = managedInstances;
  const login = await api.call('POST', `/v1/instances/${name}/authorization-tokens`, {
    body: {},
    answer: z.object({ username: z.string(), token: z.string() }),
  });
  const dispatcher = new Agent();
  try {
    const registry = createRegistryClient({
      endpoint: { url: `http://127.0.0.1:${ports[name]}`, isInsecure: true, tokenServer: addresses.tokenUrl },
      credentials: { username: login.username, password: login.token },
      dispatcher,
    });
    for (const image of baseImages) await pushBaseImage(registry, image, signal);
  } finally {
    await dispatcher.close();
  }
}

interface SampleWork extends Pick<SampleContext, 'settings' | 'onProgress'> {
  readonly wiring: SampleWiring;
  readonly checkout: string;
}

async function loadOnce(api: ApiClient, work: SampleWork): Promise<LoadedSample> {
  const { settings, wiring } = work;
  const file = join(settings.home, 'sample.json');
  const last = loadedSchema.safeParse(JSON.parse(await readFile(file, 'utf8').catch(() => 'null')));
  const { gitUrl, receiverUrl } = wiring;
  if (last.success && last.data.gitUrl === gitUrl && last.data.receiverUrl === receiverUrl) return last.data;
  if (last.success) await moveSampleChain(api, wiring);
  const loaded = { ...(last.success ? last.data : await runSample(api, work)), gitUrl, receiverUrl };
  await writeFile(file, `${JSON.stringify(loaded, null, 2)}\n`, { mode: 0o600 });
  return loaded;
}

async function runSample(
  api: ApiClient,
  { wiring, checkout, settings, onProgress }: SampleWork,
): Promise<Pick<LoadedSample, 'firstRun' | 'triggerSecret'>> {
  const { hook, triggerSecret } = await createSampleChain(api, wiring);
  await writeHook(settings.home, hook);
  const commit = await pushCheckout(checkout);
  onProgress(`pushed the sample, commit ${commit.slice(0, 8)}; waiting for its first run`);
  const { items } = await api.until(`/v1/runs?commit=${commit}`, {
    answer: z.object({ items: z.array(runSchema) }),
    isDone: (page) => page.items.length > 0 && page.items.every(({ status }) => !isLive(status)),
    everyMs: 500,
  });
  return { firstRun: items.at(-1)?.id ?? '', triggerSecret };
}

function isLive(status: string): boolean {
  return liveRunStatuses.some((live) => live === status);
}

async function consoleLines(api: ApiClient, url: string): Promise<string[]> {
  const code = await api.call('POST', '/v1/login-codes', { answer: z.object({ url: z.string() }) });
  return [`  Console       ${code.url}`, `                (logs in once; after that ${url})`];
}
