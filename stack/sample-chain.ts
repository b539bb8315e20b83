import { z } from 'zod';
import type { ApiClient } from './api-client.ts';
import { managedInstances } from './parts.ts';
import { gitUser, sampleRepository } from './sample-names.ts';

/** Addresses and logins the sample is wired with. */
export interface SampleWiring {
  /** By instance name. */
  readonly registryUrls: Readonly<Record<string, string>>;
  readonly gitUrl: string;
  readonly gitPassword: string;
  readonly receiverUrl: string;
}

/** Where the code host reports pushes, and the secret it signs with; the API shows it once. */
export interface SampleHook {
  readonly url: string;
  readonly secret: string;
}

const [home, copy] = managedInstances;
const { namespace, name: repository } = sampleRepository;
const triggerName = 'receiver';

const named = z.object({ id: z.string(), name: z.string() });
const page = z.object({ items: z.array(z.looseObject({ id: z.string() })) });
const hookSchema = z.object({ url: z.string(), secret: z.string() });

/** The sample's rules: every push to main, and the golden rule of docs/product.md, section 6. */
const buildRules = [
  {
    ref: { type: 'branch', name: 'main', match: 'exact' },
    imageTags: [{ template: 'latest' }, { commitIdLength: 8 }],
    architectures: ['linux/amd64', 'linux/arm64'],
  },
  {
    ref: { type: 'branch', name: 'release-(?<imageTag>\\w*)', match: 'regexp' },
    imageTags: [{ template: '${imageTag}', buildTime: 'yyyyMMddHHmm', commitIdLength: 30 }],
    architectures: ['linux/amd64'],
  },
] as const;

/** The managed instances, at the addresses of this start; a port that was taken since the last one moves an instance. */
export async function ensureInstances(
  api: ApiClient,
  { registryUrls }: Pick<SampleWiring, 'registryUrls'>,
): Promise<void> {
  const known = z.object({ items: z.array(z.looseObject({ name: z.string(), registryUrl: z.string() })) });
  const { items } = await api.call('GET', '/v1/instances?limit=100', { answer: known });
  for (const { name, region } of managedInstances) {
    const body = { name, region, kind: 'managed', registryUrl: registryUrls[name] };
    const found = items.find((instance) => instance.name === name);
    if (found === undefined) await api.call('POST', '/v1/instances', { body, answer: z.unknown() });
    else if (found.registryUrl !== body.registryUrl) {
      await api.call('PUT', `/v1/instances/${name}`, { body, answer: z.unknown() });
    }
  }
}

/** Secrets of the sample that the API shows once. */
export interface SampleSecrets {
  readonly hook: SampleHook;
  /** Verifies what the receiver gets. */
  readonly triggerSecret: string;
}

/** The sample's namespace, repository with source and rules, chain, replication and trigger. May be done again after a stop. */
export async function createSampleChain(api: ApiClient, wiring: SampleWiring): Promise<SampleSecrets> {
  const namespaceId = await ensure(api, `/v1/instances/${home.name}/namespaces`, { name: namespace });
  await ensure(api, `/v1/instances/${copy.name}/namespaces`, { name: namespace });
  const repositoryId = await ensure(api, `/v1/namespaces/${namespaceId}/repositories`, {
    name: repository,
    summary: 'The sample: a chandlery’s page, built for two architectures',
  });
  const hook = await bindSource(api, repositoryId, wiring);
  await createBuildRules(api, repositoryId);
  await ensure(api, `/v1/instances/${home.name}/chains`, {
    name: repository,
    description: 'Build, scan and block, copy to singapore, tell the receiver',
    scope: { namespace, repository },
    nodes: {
      build: {},
      scan: { strategy: 'blocking', severity: 'high', vulnerabilities: 1, onBlock: { backUp: true } },
      replicate: {},
      trigger: {},
    },
  });
  await ensure(api, `/v1/instances/${home.name}/replication-rules`, {
    name: `to-${copy.name}`,
    level: 'repository',
    source: { namespace, repository },
    destination: { region: copy.region, instance: copy.name },
  });
  return { hook, triggerSecret: await createTrigger(api, repositoryId, wiring) };
}

/** After a port moved: the source account and the trigger get the addresses of this start. */
export async function moveSampleChain(api: ApiClient, wiring: SampleWiring): Promise<void> {
  const { items } = await api.call('GET', `/v1/instances/${home.name}/source-accounts?limit=100`, { answer: page });
  for (const account of items) {
    await api.call('PUT', `/v1/source-accounts/${account.id}`, { body: sourceAccount(wiring), answer: z.unknown() });
  }
  const query = `instance=${home.name}&namespace=${namespace}&name=${repository}`;
  const repositories = await api.call('GET', `/v1/repositories?${query}`, { answer: page });
  for (const { id } of repositories.items) {
    const triggers = await api.call('GET', `/v1/repositories/${id}/triggers?limit=100`, {
      answer: z.object({ items: z.array(named) }),
    });
    for (const trigger of triggers.items.filter(({ name }) => name === triggerName)) {
      const headers = { 'if-match': '*' };
      await api.call('PUT', `/v1/triggers/${trigger.id}`, { headers, body: triggerOf(wiring), answer: z.unknown() });
    }
  }
}

/** Creates the trigger, or takes the one of a start that did not get to its end and gives it another secret. */
async function createTrigger(api: ApiClient, repositoryId: string, wiring: SampleWiring): Promise<string> {
  const path = `/v1/repositories/${repositoryId}/triggers`;
  const secretSchema = z.object({ secret: z.string() });
  const { items } = await api.call('GET', `${path}?limit=100`, { answer: z.object({ items: z.array(named) }) });
  const found = items.find(({ name }) => name === triggerName);
  const { secret } =
    found === undefined
      ? await api.call('POST', path, { body: triggerOf(wiring), answer: secretSchema })
      : await api.call('POST', `/v1/triggers/${found.id}/rotate-secret`, { answer: secretSchema });
  return secret;
}

function triggerOf({ receiverUrl }: SampleWiring): object {
  return { name: triggerName, url: `${receiverUrl}/shop`, condition: { kind: 'all' } };
}

function sourceAccount({ gitUrl, gitPassword }: SampleWiring): object {
  return { host: 'github', baseUrl: gitUrl, credential: { username: gitUser, password: gitPassword } };
}

async function bindSource(api: ApiClient, repositoryId: string, wiring: SampleWiring): Promise<SampleHook> {
  const accounts = `/v1/instances/${home.name}/source-accounts`;
  const { items } = await api.call('GET', `${accounts}?limit=100`, { answer: page });
  const account = items.find((item) => item['baseUrl'] === wiring.gitUrl);
  const made = z.object({ id: z.string() });
  const accountId = account?.id ?? (await api.call('POST', accounts, { body: sourceAccount(wiring), answer: made })).id;
  const binding = { sourceAccount: accountId, codeNamespace: namespace, codeRepository: repository };
  const { hook } = await api.call('PUT', `/v1/repositories/${repositoryId}/source-binding`, {
    body: binding,
    answer: z.object({ hook: z.object({ url: z.string(), secret: z.string().nullish() }) }),
  });
  if (hook.secret !== null && hook.secret !== undefined) return { url: hook.url, secret: hook.secret };
  // Bound already, by a start that did not get to its end: secrets are shown once, so it gets another.
  const path = `/v1/repositories/${repositoryId}/source-binding/rotate-secret`;
  return api.call('POST', path, { answer: hookSchema });
}

async function createBuildRules(api: ApiClient, repositoryId: string): Promise<void> {
  const path = `/v1/repositories/${repositoryId}/build-rules`;
  const { items } = await api.call('GET', `${path}?limit=100`, { answer: page });
  for (const rule of buildRules.slice(items.length)) await api.call('POST', path, { body: rule, answer: z.unknown() });
}

type Named = Readonly<Record<string, unknown>> & { readonly name: string };

/** Creates what is not there yet, by its name; the id either way. */
async function ensure(api: ApiClient, path: string, body: Named): Promise<string> {
  const answer = z.object({ items: z.array(named) });
  const { items } = await api.call('GET', `${path}?limit=100`, { answer });
  const found = items.find(({ name }) => name === body.name);
  return found?.id ?? (await api.call('POST', path, { body, answer: named })).id;
}
