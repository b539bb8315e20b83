import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { runProcess } from '../activities/drivers/process.ts';
import { type ApiClient, createApiClient } from '../stack/api-client.ts';
import { buildkitAddress } from '../stack/buildkit.ts';
import { npmStart, type NpmStart } from '../test/support/npm-start.ts';
import { resolveTools } from '../tools/resolve.ts';
import { check, median, report } from './report.ts';

const rounds = 3;
const branch = 'bench-cache';
const signal = AbortSignal.timeout(3_600_000);
const idSchema = z.looseObject({ id: z.string() });
const listSchema = z.object({ items: z.array(z.looseObject({ id: z.string(), baseUrl: z.string().optional() })) });
const buildSchema = z.looseObject({
  status: z.string(),
  startedAt: z.string().nullable(),
  endedAt: z.string().nullable(),
  reason: z.looseObject({ text: z.string() }).nullable(),
  architectures: z.array(z.looseObject({ cachedSteps: z.number().nullable() })),
});

interface Bench {
  readonly stack: NpmStart['stack'];
  readonly api: ApiClient;
  readonly repository: string;
  readonly rule: string;
  readonly checkout: string;
  readonly buildctl: string;
}

/** Work of ten seconds on a quiet machine, and 20 MB, as a small install of dependencies is; then the compilation of the code that changes. */
const dockerfile = (round: string) => `FROM debian:bookworm-slim AS dependencies
RUN echo ${round} && for i in $(seq 110); do seq 3000000 | sha256sum; done > /dependencies && head -c 20M /dev/urandom >> /dependencies
FROM dependencies AS compiled
COPY catalogue.tsv /src/
RUN seq 3000000 | cat /src/catalogue.tsv - | sha256sum > /program
FROM debian:bookworm-slim
COPY --from=compiled /program /usr/local/bin/program
`;

/**
 * A build of a commit that changes one line, on a builder that knows nothing but the remote cache, against the build of everything;
 * both through the whole product, from the start of the build to its end.
 */
export async function run(): Promise<boolean> {
  const started = await npmStart({ SLIPWAY_BUILD_ISOLATION: 'shared' });
  const checkout = await mkdtemp(join(tmpdir(), 'slipway-bench-'));
  try {
    const bench = await prepare(started.stack, checkout);
    const ratios: number[] = [];
    for (let round = 1; round <= rounds; round += 1) {
      await api(bench, 'DELETE', `/v1/repositories/${bench.repository}/build-cache`);
      await forget(bench);
      const cold = await measure(bench, { Dockerfile: dockerfile(randomUUID()) });
      await forget(bench);
      const warm = await measure(bench, { 'catalogue.tsv': `rope\t12\n${randomUUID()}\t1\n` });
      ratios.push(warm.ms / cold.ms);
      const ratio = (warm.ms / cold.ms).toFixed(2);
      console.log(
        `round ${round}  cold ${seconds(cold.ms)}  one line, remote cache ${seconds(warm.ms)} (${warm.cachedSteps} steps cached)  ratio ${ratio}`,
      );
    }
    return await report('cache', [
      check('one-line change with the remote cache / cold, median', median(ratios), {
        unit: 'x',
        op: '<=',
        target: 0.3,
      }),
    ]);
  } finally {
    await rm(checkout, { recursive: true, force: true });
    await started.stop();
  }
}

/** A repository of its own beside the sample's, of the same code, outside any chain. */
async function prepare(stack: Bench['stack'], checkout: string): Promise<Bench> {
  const client = createApiClient({ url: stack.url, token: stack.adminToken, signal });
  const find = (path: string) => client.call('GET', path, { answer: listSchema });
  const accounts = await find('/v1/instances/hangzhou/source-accounts?limit=100');
  const account = accounts.items.find(({ baseUrl }) => baseUrl === stack.sample.gitUrl);
  const namespaces = await find('/v1/instances/hangzhou/namespaces?limit=100');
  const { id: repository } = await client.call('POST', `/v1/namespaces/${namespaces.items[0]?.id}/repositories`, {
    body: {
      name: 'bench-cache',
      codeSource: { sourceAccount: account?.id, codeNamespace: 'shop', codeRepository: 'web' },
      buildRules: [{ ref: { type: 'branch', name: branch }, imageTags: [{ template: 'latest' }] }],
    },
    answer: idSchema,
  });
  const rules = await find(`/v1/repositories/${repository}/build-rules`);
  const sample = join(stack.home, 'sample', 'web');
  const header = (await git(sample, ['config', 'http.extraHeader'])).stdout.trim();
  await git(checkout, [
    '-c',
    `http.extraHeader=${header}`,
    'clone',
    '--quiet',
    `${stack.sample.gitUrl}/shop/web.git`,
    '.',
  ]);
  for (const [name, value] of [
    ['http.extraHeader', header],
    ['user.name', 'Ada'],
    ['user.email', 'ada@slipway.invalid'],
  ] as const)
    await git(checkout, ['config', name, value]);
  const { buildctl } = await resolveTools(['buildkit'], { env: process.env, onProgress: console.log, signal });
  return { stack, api: client, repository, rule: rules.items[0]?.id ?? '', checkout, buildctl };
}

/** Pushes the files and builds them; from the build's start to its end. */
async function measure(
  bench: Bench,
  files: Readonly<Record<string, string>>,
): Promise<{ readonly ms: number; readonly cachedSteps: number }> {
  const { checkout, rule } = bench;
  for (const [name, content] of Object.entries(files)) await writeFile(join(checkout, name), content);
  await git(checkout, ['commit', '--quiet', '--all', '--message', 'Measure']);
  await git(checkout, ['push', '--quiet', '--force', 'origin', `HEAD:refs/heads/${branch}`]);
  const { id } = await bench.api.call('POST', `/v1/build-rules/${rule}/builds`, { body: {}, answer: idSchema });
  const build = await bench.api.until(`/v1/builds/${id}`, {
    answer: buildSchema,
    isDone: ({ endedAt }) => endedAt !== null,
    everyMs: 200,
  });
  if (build.status !== 'success') throw new Error(`the build did not succeed: ${build.reason?.text}`);
  const ms = Date.parse(build.endedAt ?? '') - Date.parse(build.startedAt ?? '');
  return { ms, cachedSteps: build.architectures[0]?.cachedSteps ?? 0 };
}

/** A builder that knows nothing. */
async function forget({ buildctl, stack }: Bench): Promise<void> {
  const address = buildkitAddress(join(stack.home, 'buildkit'));
  const args = ['--addr', address, 'prune', '--all'];
  await runProcess({ command: buildctl, args, env: {}, signal, timeoutMs: 120_000 });
}

function api({ api: client }: Bench, method: 'DELETE', path: string): Promise<unknown> {
  return client.call(method, path, { answer: z.unknown() });
}

function git(folder: string, args: readonly string[]) {
  const env = { PATH: process.env['PATH'] ?? '', HOME: folder };
  return runProcess({ command: 'git', args: ['-C', folder, ...args], env, signal, timeoutMs: 60_000 });
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
