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

const named = z.object({ id: z.string(), name: z.string() });
const page = z.object({ items: z.array(z.looseObject({ id: z.string() })) });
const bindingSchema = z.object({ hook: z.object({ url: z.string(), secret: z.string() }) });

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

/** The sample's namespace, repository with source and rules, chain, replication and trigger. May be done again after a stop. */
export async function createSampleChain(api: ApiClient, wiring: SampleWiring): Promise<SampleHook> {
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
  await ensure(api, `/v1/repositories/${repositoryId}/triggers`, {
    name: 'receiver',
    url: `${wiring.receiverUrl}/shop`,
    condition: { kind: 'all' },
  });
  return hook;
}

/** After a port moved: the account and the trigger name the addresses of this start. */
async function bindSource(api: ApiClient, repositoryId: string, wiring: SampleWiring): Promise<SampleHook> {
  const accounts = `/v1/instances/${home.name}/source-accounts`;
  const { items } = await api.call('GET', `${accounts}?limit=100`, { answer: page });
  const body = {
    host: 'github',
    baseUrl: wiring.gitUrl,
    credential: { username: gitUser, password: wiring.gitPassword },
  };
  const account = items.find((item) => item['baseUrl'] === wiring.gitUrl);
  const sourceAccount =
    account?.id ?? (await api.call('POST', accounts, { body, answer: z.object({ id: z.string() }) })).id;
  const binding = { sourceAccount, codeNamespace: namespace, codeRepository: repository };
  const { hook } = await api.call('PUT', `/v1/repositories/${repositoryId}/source-binding`, {
    body: binding,
    answer: z.object({ hook: z.object({ url: z.string(), secret: z.string().nullish() }) }),
  });
  if (hook.secret !== null && hook.secret !== undefined) return { url: hook.url, secret: hook.secret };
  // Bound already, by a start that did not get to its end: secrets are shown once, so it gets another.
  const path = `/v1/repositories/${repositoryId}/source-binding/rotate-secret`;
  return (await api.call('POST', path, { answer: bindingSchema })).hook;
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
