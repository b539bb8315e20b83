import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { create, textAt } from '../support/api.ts';
import type { Answer } from '../support/api.ts';
import { createSourceWorld } from '../support/source-world.ts';
import type { SourceWorld } from '../support/source-world.ts';

let world: SourceWorld;
let folder: string;
/** Made by a name that some program takes for a command or an option. */
let canary: string;
let ids: { account: string; repository: string; rule: string; chain: string };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'slipway-injected-'));
  canary = join(folder, 'canary');
  world = await createSourceWorld('gitea');
  await world.code.commit({ Dockerfile: 'FROM scratch' });
  const { api, host, namespaceId } = world;
  const accounts = '/v1/instances/hangzhou/source-accounts';
  const credential = { token: 'canary-host-token' };
  const account = textAt(await create(api, accounts, { host: 'gitea', baseUrl: host.url, credential }), 'id');
  const repository = await create(api, `/v1/namespaces/${namespaceId}/repositories`, {
    name: 'web',
    codeSource: { sourceAccount: account, codeNamespace: 'acme', codeRepository: 'web' },
    buildRules: [rule({})],
  });
  const chain = textAt(
    await create(api, '/v1/instances/hangzhou/chains', { name: 'main', nodes: { build: {} } }),
    'id',
  );
  const [ruleId = ''] = z.array(z.string()).parse(repository.body?.['buildRules']);
  ids = { account, chain, repository: textAt(repository, 'id'), rule: ruleId };
});
afterAll(async () => {
  await world.close();
  await rm(folder, { recursive: true });
});

const names = ['-rf', '..', 'a%2fb', 'a\nb', 'a\0b', '\u202egnp', '$(touch CANARY)', '--upload-pack=touch CANARY'];
/** What a program gets as one word of its own, whatever is in it. */
const harmlessWords = names.filter((name) => !name.includes('\0'));
const insidePaths = harmlessWords.filter((name) => !['..', 'a\nb'].includes(name));

function rule(more: object) {
  return { ref: { type: 'branch', name: '.*', match: 'regexp' }, imageTags: [{ template: 'latest' }], ...more };
}

const post = (path: string, body: object): Promise<Answer> => world.api.call('POST', path, { body });
const get = (path: string): Promise<Answer> => world.api.call('GET', path);
const tree = (query: Readonly<Record<string, string>>) =>
  get(`/v1/repositories/${ids.repository}/source-binding/tree?${String(new URLSearchParams(query))}`);
const addRule = (more: object) => post(`/v1/repositories/${ids.repository}/build-rules`, rule(more));
const addRepository = (more: object) =>
  post(`/v1/namespaces/${world.namespaceId}/repositories`, { name: 'api', ...more });
const bind = (more: object) =>
  addRepository({ codeSource: { sourceAccount: ids.account, codeNamespace: 'acme', codeRepository: 'web', ...more } });

/** Every input that reaches a program, and which of the names it takes: as a word of their own, never as anything else. */
const places: readonly (readonly [string, (name: string) => Promise<Answer>, readonly string[]])[] = [
  ['the ref to build by hand', (ref) => post(`/v1/build-rules/${ids.rule}/builds`, { ref }), []],
  ['the ref of a chain started by hand', (ref) => run({ ref }), []],
  ['the tag of a chain started by hand', (tag) => run({ tag }), []],
  ['a tag to read', (tag) => get(`/v1/repositories/${ids.repository}/tags/${encodeURIComponent(tag)}`), []],
  ['the ref to browse', (ref) => tree({ ref }), []],
  ['the path to browse', (path) => tree({ ref: 'main', path }), []],
  ['the context directory', (contextDirectory) => addRule({ contextDirectory }), insidePaths],
  ['the Dockerfile', (dockerfile) => addRule({ dockerfile }), insidePaths],
  ['the target stage', (targetStage) => addRule({ targetStage }), []],
  ['the key of a build argument', (key) => addRule({ buildParameters: [{ key, value: 'x' }] }), []],
  ['the value of a build argument', (value) => addRule({ buildParameters: [{ key: 'A', value }] }), harmlessWords],
  ['the id of a build secret', (id) => addRule({ secrets: [{ id, secretRef: 'npm' }] }), []],
  ['the name of a build secret', (secretRef) => addRule({ secrets: [{ id: 'npm', secretRef }] }), []],
  ['the address of a source host', (baseUrl) => addAccount(baseUrl), []],
  ['the namespace of the code', (codeNamespace) => bind({ codeNamespace }), []],
  ['the repository of the code', (codeRepository) => bind({ codeRepository }), []],
  ['the name of a repository', (name) => addRepository({ name }), []],
  ['the region that builds', (buildRegion) => addRepository({ buildSettings: { buildRegion } }), []],
  ['the name of a namespace', (name) => post('/v1/instances/hangzhou/namespaces', { name }), []],
  ['the name of an instance', (name) => addInstance({ name }), []],
  ['the registry of an instance', (registryUrl) => addInstance({ registryUrl }), []],
  ['the name of a chain', (name) => post('/v1/instances/hangzhou/chains', { name }), []],
  ['the namespace a chain covers', (namespace) => addChain({ namespace }), []],
  ['the repository a chain covers', (repository) => addChain({ namespace: 'shop', repository }), []],
  ['the name of a replication rule', (name) => addCopies({ name }), []],
  ['the namespace of a copy', (namespace) => addCopies({ destination: { ...destination, namespace } }), []],
];

const destination = { region: 'cn-hangzhou', instance: 'hangzhou' };
const run = (more: object) => post(`/v1/chains/${ids.chain}/runs`, { repository: ids.repository, ...more });
const addAccount = (baseUrl: string) => post('/v1/instances/hangzhou/source-accounts', { host: 'git', baseUrl });
const addInstance = (more: object) =>
  post('/v1/instances', { name: 'other', region: 'cn-hangzhou', registryUrl: 'http://127.0.0.1:5001', ...more });
const addChain = (scope: object) => post('/v1/instances/hangzhou/chains', { name: 'other', scope });
const addCopies = (more: object) =>
  post('/v1/instances/hangzhou/replication-rules', {
    ...{ name: 'copies', level: 'namespace', source: { namespace: 'shop' }, destination },
    ...more,
  });

/** How much of everything a request could make there is. */
async function stored(): Promise<readonly number[]> {
  const { db } = world.api.deps;
  const tables = [
    'instance',
    'namespace',
    'repository',
    'source_account',
    'source_binding',
    'build_rule',
    'chain',
  ] as const;
  const others = ['replication_rule', 'trigger', 'secret', 'run', 'build', 'tag_pointer'] as const;
  return Promise.all(
    [...tables, ...others].map(async (table) => {
      const count = db.selectFrom(table).select(({ fn }) => fn.countAll<number>().as('count'));
      return Number((await count.executeTakeFirstOrThrow()).count);
    }),
  );
}

describe('arg-injection: a name that is an option, a command or a way out', () => {
  it.each(places.flatMap(([what, call, taken]) => names.map((name) => [what, name, call, taken] as const)))(
    'as %s (%j) is refused, or stays the word it is',
    async (_what, template, call, taken) => {
      const before = await stored();
      const name = template.replace('CANARY', canary);
      const answer = await call(name);
      const isTaken = taken.includes(template);
      expect(isTaken ? [201] : [404, 422]).toContain(answer.status);
      expect(JSON.stringify(answer.body)).toContain(isTaken ? JSON.stringify(name) : '"code":');
      const after = await stored();
      expect(isTaken || isDeepStrictEqual(after, before)).toBe(true);
      await expect(access(canary)).rejects.toThrow('ENOENT');
    },
  );
});
