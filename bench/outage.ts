import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { type ApiClient, createApiClient } from '../stack/api-client.ts';
import { runProcess } from '../activities/drivers/process.ts';
import type { StackFile } from '../stack/stack-file.ts';
import { openChecker } from '../test/support/checker.ts';
import { npmStart } from '../test/support/npm-start.ts';
import { check, report } from './report.ts';

const awayMs = 10 * 60_000;
/** The last pushes come this long before the API is back: too late for the comparison that runs while it is away. */
const lastPushMs = awayMs - 30_000;
const branches = ['missed1', 'missed2', 'missed3'];
const tags = ['missed-v1', 'missed-v2', 'missed-v3', 'missed-v4'];
const signal = AbortSignal.timeout(3_600_000);

const runsSchema = z.object({
  items: z.array(
    z.looseObject({
      id: z.string(),
      cause: z.string(),
      status: z.string(),
      result: z.string().nullable(),
      startedAt: z.string().nullable(),
    }),
  ),
});
type FoundRun = z.infer<typeof runsSchema>['items'][number];

/** A running stack and a checkout of its sample. */
interface OutageWorld {
  readonly stack: StackFile & { readonly home: string };
  readonly api: ApiClient;
  readonly git: (...args: string[]) => Promise<string>;
}

/**
 * Ten minutes without the API: nobody takes the host's deliveries, and the host sends none again. Three branches move twice and four
 * tags are made meanwhile. Once the API is back every tip is built once, by the comparison that runs every ten minutes.
 */
export async function run(): Promise<boolean> {
  const { stack, stop } = await npmStart();
  try {
    const world = openWorld(stack);
    await prepare(world.api);
    const outage = await away(world);
    const tips = [...outage.tips.values()];
    const built = await builtOnce(world.api, tips);
    const starts = built.flatMap(({ startedAt }) => (startedAt === null ? [] : [Date.parse(startedAt)]));
    const doubled = await countRuns(world.api, tips, (runs) => runs.length > 1);
    const stale = await countRuns(world.api, outage.passed, (runs) => runs.some(({ result }) => result === 'success'));
    const checker = await openChecker(stack);
    const violations = await checker.violations();
    await checker.close();
    for (const { subject, text } of violations) console.log(`violated: ${subject} ${text}`);
    return await report('outage', [
      check('the API was away', outage.awayMs / 60_000, { unit: 'min', op: '>=', target: awayMs / 60_000 }),
      check('tips built, with the cause catch_up', built.filter(isCaughtUp).length, {
        unit: 'of 7',
        op: '>=',
        target: tips.length,
      }),
      check('tips with a second run', doubled, { unit: '', op: '<=', target: 0 }),
      check('commits that were no tip any more, built', stale, { unit: '', op: '<=', target: 0 }),
      check('the API back to the last start', (Math.max(...starts) - outage.backAtMs) / 60_000, {
        unit: 'min',
        op: '<=',
        target: 10,
      }),
      check('what the checker found', violations.length, { unit: '', op: '<=', target: 0 }),
    ]);
  } finally {
    await stop();
  }
}

function openWorld(stack: OutageWorld['stack']): OutageWorld {
  const checkout = join(stack.home, 'sample', 'web');
  return {
    stack,
    api: createApiClient({ url: stack.url, token: stack.adminToken, signal }),
    git: async (...args) => {
      const { stdout } = await runProcess({
        command: 'git',
        args: ['-C', checkout, ...args],
        env: { PATH: process.env['PATH'] ?? '', HOME: checkout },
        signal,
        timeoutMs: 60_000,
      });
      return stdout.trim();
    },
  };
}

/** Rules of their own for what is pushed, one architecture each; and the first comparison, after which nothing new was there before. */
async function prepare(api: ApiClient): Promise<void> {
  const found = await api.call('GET', '/v1/repositories?instance=hangzhou&namespace=shop&name=web', {
    answer: z.object({ items: z.array(z.looseObject({ id: z.string() })) }),
  });
  const repositoryId = found.items[0]?.id ?? '';
  for (const [type, name] of [
    ['branch', String.raw`missed(?<number>\d+)`],
    ['tag', String.raw`missed-v(?<number>\d+)`],
  ] as const) {
    await api.call('POST', `/v1/repositories/${repositoryId}/build-rules`, {
      body: { ref: { type, name, match: 'regexp' }, imageTags: [{ template: `missed-${type}-\${number}` }] },
      answer: z.unknown(),
    });
  }
  await api.until(`/v1/repositories/${repositoryId}/source-binding`, {
    answer: z.looseObject({ reconciledAt: z.string().nullable() }),
    isDone: ({ reconciledAt }) => reconciledAt !== null,
    everyMs: 1_000,
  });
}

interface Outage {
  readonly awayMs: number;
  /** Milliseconds since 1970. */
  readonly backAtMs: number;
  /** By ref. */
  readonly tips: ReadonlyMap<string, string>;
  /** What branches were on in between. */
  readonly passed: readonly string[];
}

async function away(world: OutageWorld): Promise<Outage> {
  const back = await stopApi(world.stack);
  const begun = performance.now();
  const tips = new Map<string, string>();
  try {
    console.log('the API is gone');
    const passed = await push(world, branches.slice(0, 2), tips);
    await delay(awayMs / 2, undefined, { signal });
    await push(world, tags.slice(0, 2), tips);
    await delay(lastPushMs - (performance.now() - begun), undefined, { signal });
    // All but one of the branches have moved twice by then, and the last tags come all at once.
    await push(world, [...branches, ...tags.slice(2)], tips);
    await delay(awayMs - (performance.now() - begun), undefined, { signal });
    return { tips, passed, awayMs: performance.now() - begun, backAtMs: await back() };
  } catch (error) {
    await back();
    throw error;
  }
}

/** Pushes a commit of its own to each; answers them. */
async function push({ git }: OutageWorld, names: readonly string[], tips: Map<string, string>): Promise<string[]> {
  const commits: string[] = [];
  for (const name of names) {
    await git('commit', '--quiet', '--allow-empty', '--message', `Miss ${name} ${randomUUID()}`);
    const commit = await git('rev-parse', 'HEAD');
    tips.set(`refs/${tags.includes(name) ? 'tags' : 'heads'}/${name}`, commit);
    commits.push(commit);
  }
  const refs = [...tips].filter(([, commit]) => commits.includes(commit));
  await git('push', '--quiet', 'origin', ...refs.map(([ref, commit]) => `${commit}:${ref}`));
  return commits;
}

/** Kills the API while nobody may start it again; the answer lets it come back, and says when it answered. */
async function stopApi({ home, url }: OutageWorld['stack']): Promise<() => Promise<number>> {
  const { pids }: StackFile = JSON.parse(await readFile(join(home, 'stack.json'), 'utf8'));
  const supervisor = pids['supervisor'] ?? 0;
  process.kill(supervisor, 'SIGSTOP');
  process.kill(pids['api'] ?? 0, 'SIGKILL');
  return async () => {
    process.kill(supervisor, 'SIGCONT');
    const isReady = () =>
      fetch(`${url}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      );
    while (!(await isReady())) await delay(100);
    console.log('the API is back');
    return Date.now();
  };
}

/** Waits until each commit has a run, and that has ended. */
async function builtOnce(api: ApiClient, commits: readonly string[]): Promise<readonly FoundRun[]> {
  const built: FoundRun[] = [];
  for (const commit of commits) {
    const { items } = await api.until(`/v1/runs?commit=${commit}`, {
      answer: runsSchema,
      isDone: ({ items: runs }) => runs.length > 0 && runs.every(({ result }) => result !== null),
      everyMs: 500,
    });
    console.log(`${commit.slice(0, 8)}  ${items.map(({ cause, result }) => `${cause} ${result}`).join(', ')}`);
    built.push(...items);
  }
  return built;
}

function isCaughtUp({ cause, result }: FoundRun): boolean {
  return cause === 'catch_up' && result === 'success';
}

async function countRuns(
  api: ApiClient,
  commits: readonly string[],
  isCounted: (runs: readonly FoundRun[]) => boolean,
): Promise<number> {
  let count = 0;
  for (const commit of commits) {
    const { items } = await api.call('GET', `/v1/runs?commit=${commit}`, { answer: runsSchema });
    if (isCounted(items)) count += 1;
  }
  return count;
}
