import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { writeDockerConfig } from '../activities/drivers/docker-config.ts';
import { runProcess } from '../activities/drivers/process.ts';
import { type ApiClient, createApiClient } from '../stack/api-client.ts';
import { buildkitAddress as addressOf, buildkitPart } from '../stack/buildkit.ts';
import { npmStart, type NpmStart } from '../test/support/npm-start.ts';
import { startParts, type TestParts } from '../test/support/stack-parts.ts';
import { resolveTools } from '../tools/resolve.ts';
import { check, median, report } from './report.ts';

const pairs = 5;
const signal = AbortSignal.timeout(3_600_000);
const idSchema = z.looseObject({ id: z.string() });
const listSchema = z.object({ items: z.array(idSchema) });
const loginSchema = z.object({ username: z.string(), token: z.string() });

interface Bench {
  readonly stack: NpmStart['stack'];
  readonly api: ApiClient;
  readonly repository: string;
  readonly checkout: string;
  readonly header: string;
  readonly tools: { readonly buildctl: string; readonly trivy: string };
  /** The script's own build daemon: those of Slipway are for its builds alone. */
  readonly buildkitAddress: string;
}

/**
 * One run of the sample's chain, from the hook to the last trigger's answer, against the same work by a shell script of the bare
 * tools (`chain.sh`), turn by turn on the same running stack. Every commit is new, so that both build the same steps anew.
 */
export async function run(): Promise<boolean> {
  const started = await npmStart();
  const { stack } = started;
  const parts = await startParts();
  try {
    const bench = await prepare(stack, parts);
    const memory = await idleMemory(stack);
    // The first of each loads code and warms caches: not counted.
    await measureChain(bench);
    await measureScript(bench);
    const ratios: number[] = [];
    for (let pair = 1; pair <= pairs; pair += 1) {
      const ours = await measureChain(bench);
      const script = await measureScript(bench);
      ratios.push(ours / script);
      console.log(
        `pair ${pair}  chain ${seconds(ours)}  script ${seconds(script)}  ratio ${(ours / script).toFixed(2)}`,
      );
    }
    return await report('chain', [
      check('chain / shell script, median of pairs', median(ratios), { unit: 'x', op: '<=', target: 1.15 }),
      check('idle memory of the API', memory.api, { unit: 'MB', op: '<=', target: 250 }),
      check('idle memory of the worker', memory.worker, { unit: 'MB', op: '<=', target: 450 }),
    ]);
  } finally {
    await parts.stop();
    await started.stop();
  }
}

async function prepare(stack: Bench['stack'], parts: TestParts): Promise<Bench> {
  const api = createApiClient({ url: stack.url, token: stack.adminToken, signal });
  const found = await api.call('GET', '/v1/repositories?instance=hangzhou&namespace=shop&name=web', {
    answer: listSchema,
  });
  const repository = found.items[0]?.id ?? '';
  const checkout = join(stack.home, 'sample', 'web');
  const { stdout } = await git(checkout, ['config', 'http.extraHeader']);
  const { buildctl, buildkitd, trivy } = await resolveTools(['buildkit', 'trivy'], {
    env: process.env,
    onProgress: console.log,
    signal,
  });
  const [registry = '', ...others] = stack.instances.map(({ registryUrl }) => new URL(registryUrl).host);
  const folder = join(parts.home, 'buildkit');
  await parts.start(buildkitPart({ buildkitd, buildctl, folder, registries: [registry, ...others] }));
  const buildkitAddress = addressOf(folder);
  return { stack, api, repository, checkout, header: stdout.trim(), tools: { buildctl, trivy }, buildkitAddress };
}

/** Resident memory in MB, a while after the sample's run. */
async function idleMemory({ pids }: Bench['stack']): Promise<{ api: number; worker: number }> {
  await new Promise((resolve) => setTimeout(resolve, 10_000));
  return { api: await residentMb(pids['api']), worker: await residentMb(pids['worker']) };
}

async function residentMb(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? Number.NaN) / 1024;
}

/** From the hook's arrival to the last answer of a trigger, in milliseconds. */
async function measureChain(bench: Bench): Promise<number> {
  const { api, repository } = bench;
  const commit = await pushCommit(bench, 'main');
  const runs = await api.until(`/v1/runs?commit=${commit}`, {
    answer: listSchema,
    isDone: ({ items }) => items.length > 0,
    everyMs: 200,
  });
  const runId = runs.items[0]?.id ?? '';
  const ended = await api.until(`/v1/runs/${runId}`, {
    answer: z.looseObject({ result: z.string().nullable(), reason: z.looseObject({ text: z.string() }).nullable() }),
    isDone: ({ result }) => result !== null,
    everyMs: 500,
  });
  if (ended.result !== 'success') throw new Error(`the chain did not succeed: ${ended.reason?.text}`);
  return (await lastAnswer(bench, runId)) - (await hookArrival(api, repository, runId));
}

async function hookArrival(api: ApiClient, repository: string, runId: string): Promise<number> {
  const answer = z.object({ items: z.array(z.looseObject({ receivedAt: z.string(), outcome: z.unknown() })) });
  const { items } = await api.call('GET', `/v1/repositories/${repository}/source-events`, { answer });
  const event = items.find(({ outcome }) => JSON.stringify(outcome).includes(runId));
  return Date.parse(event?.receivedAt ?? '');
}

async function lastAnswer({ api, repository }: Bench, runId: string): Promise<number> {
  const { items: triggers } = await api.call('GET', `/v1/repositories/${repository}/triggers`, { answer: listSchema });
  const { items } = await api.call('GET', `/v1/triggers/${triggers[0]?.id}/deliveries`, {
    answer: z.object({ items: z.array(z.looseObject({ id: z.string() })) }),
  });
  const attempts = z.looseObject({
    run: z.unknown(),
    attempts: z.array(z.looseObject({ at: z.string(), durationMs: z.number().nullable() })),
  });
  const ends: number[] = [];
  for (const { id } of items.slice(0, 4)) {
    const delivery = await api.call('GET', `/v1/deliveries/${id}`, { answer: attempts });
    if (!JSON.stringify(delivery).includes(runId)) continue;
    ends.push(...delivery.attempts.map(({ at, durationMs }) => Date.parse(at) + (durationMs ?? 0)));
  }
  return Math.max(...ends);
}

async function measureScript(bench: Bench): Promise<number> {
  const { stack, api, tools, header } = bench;
  await pushCommit(bench, 'script');
  const work = await mkdtemp(join(tmpdir(), 'slipway-bench-'));
  try {
    const [registry = '', destination = ''] = stack.instances.map(({ registryUrl }) => new URL(registryUrl).host);
    const logins = [];
    for (const { name, registryUrl } of stack.instances) {
      const { username, token } = await api.call('POST', `/v1/instances/${name}/authorization-tokens`, {
        body: {},
        answer: loginSchema,
      });
      logins.push({ host: new URL(registryUrl).host, username, password: token });
    }
    await writeDockerConfig(join(work, 'docker'), logins);
    const start = performance.now();
    await runProcess({
      command: join(import.meta.dirname, 'chain.sh'),
      args: [],
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: work,
        TMPDIR: work,
        WORK: work,
        DOCKER_CONFIG: join(work, 'docker'),
        BRANCH: 'script',
        GIT_HEADER: header,
        GIT_URL: `${stack.sample.gitUrl}/shop/web.git`,
        BUILDCTL: tools.buildctl,
        BUILDKIT_ADDRESS: bench.buildkitAddress,
        TRIVY: tools.trivy,
        TRIVY_CACHE: join(stack.home, 'trivy'),
        REGISTRY: registry,
        DESTINATION: destination,
        REPOSITORY: 'shop/script',
        TAG: randomUUID().slice(0, 8),
        RECEIVER_URL: stack.sample.receiverUrl,
      },
      signal,
      timeoutMs: 300_000,
    });
    return performance.now() - start;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** A commit nobody has built yet, pushed to the branch; no build rule takes the branch `script`. */
async function pushCommit({ checkout }: Bench, branch: string): Promise<string> {
  await writeFile(join(checkout, 'catalogue.tsv'), `rope\t12\n${randomUUID()}\t1\n`);
  await git(checkout, ['commit', '--quiet', '--all', '--message', 'Measure']);
  await git(checkout, ['push', '--quiet', '--force', 'origin', `HEAD:refs/heads/${branch}`]);
  return (await git(checkout, ['rev-parse', 'HEAD'])).stdout.trim();
}

function git(folder: string, args: readonly string[]) {
  const env = { PATH: process.env['PATH'] ?? '', HOME: folder };
  return runProcess({ command: 'git', args: ['-C', folder, ...args], env, signal, timeoutMs: 60_000 });
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`;
}
