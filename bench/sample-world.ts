import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { runProcess } from '../activities/drivers/process.ts';
import { type ApiClient, createApiClient } from '../stack/api-client.ts';
import { npmStart } from '../test/support/npm-start.ts';

const signal = AbortSignal.timeout(3_600_000);
const runSchema = z.looseObject({
  id: z.string(),
  status: z.string(),
  result: z.string().nullable(),
  build: z.string().nullable(),
  reason: z.looseObject({ text: z.string() }).nullable(),
});
const idsSchema = z.object({ items: z.array(z.looseObject({ id: z.string() })) });
const logSchema = z.object({
  items: z.array(z.looseObject({ text: z.string(), stage: z.string(), time: z.string() })),
});

/** A commit on its way: when its hook arrived, and the run it came to. */
export interface Pushed {
  readonly arrivedMs: number;
  readonly runId: string;
  readonly buildId: string;
}

/** A running stack with the sample's checkout, and what the benchmarks of a build do with it. */
export interface SampleWorld {
  readonly api: ApiClient;
  /** Pushes a commit of its own with this Dockerfile to a branch of its own, so that nothing gives way to it. */
  push(dockerfile: string): Promise<Pushed>;
  /** Waits for a line of the build's log that has the pattern, and answers what it caught. */
  logged(buildId: string, pattern: RegExp): Promise<string>;
  /** When each stage of the build wrote its first line; milliseconds since 1970. */
  stages(buildId: string): Promise<ReadonlyMap<string, number>>;
  /** Asks until the run has ended; answers how. */
  ended(runId: string, everyMs: number): Promise<z.infer<typeof runSchema>>;
  /** How many live processes have this text in their command line. */
  processes(text: string): Promise<number>;
  stop(): Promise<void>;
}

export async function startSampleWorld(): Promise<SampleWorld> {
  const { stack, stop } = await npmStart();
  const api = createApiClient({ url: stack.url, token: stack.adminToken, signal });
  const checkout = join(stack.home, 'sample', 'web');
  const git = (...args: string[]) =>
    runProcess({
      command: 'git',
      args: ['-C', checkout, ...args],
      env: { PATH: process.env['PATH'] ?? '', HOME: checkout },
      signal,
      timeoutMs: 60_000,
    });
  const found = await api.call('GET', '/v1/repositories?instance=hangzhou&namespace=shop&name=web', {
    answer: idsSchema,
  });
  const repositoryId = found.items[0]?.id ?? '';
  return {
    api,
    async push(dockerfile) {
      await writeFile(join(checkout, 'Dockerfile'), dockerfile);
      await git('commit', '--quiet', '--all', '--allow-empty', '--message', `Measure ${randomUUID()}`);
      const branch = `release-${randomUUID().replaceAll('-', '')}`;
      await git('push', '--quiet', 'origin', `HEAD:refs/heads/${branch}`);
      const runs = await api.until(`/v1/runs?ref=${branch}`, {
        answer: z.object({ items: z.array(runSchema) }),
        isDone: ({ items }) => items.length > 0,
        everyMs: 20,
      });
      const { id: runId = '', build } = runs.items[0] ?? {};
      return { runId, buildId: build ?? '', arrivedMs: await hookArrival(api, repositoryId, runId) };
    },
    async logged(buildId, pattern) {
      const match = ({ items }: z.infer<typeof logSchema>) =>
        items.map(({ text }) => pattern.exec(text)).find((caught) => caught !== null);
      const log = await api.until(`/v1/builds/${buildId}/log?limit=1000`, {
        answer: logSchema,
        isDone: (page) => match(page) !== undefined,
        everyMs: 100,
      });
      return match(log)?.[1] ?? '';
    },
    async stages(buildId) {
      const { items } = await api.call('GET', `/v1/builds/${buildId}/log?limit=1000`, { answer: logSchema });
      return new Map(items.toReversed().map(({ stage, time }) => [stage, Date.parse(time)]));
    },
    ended: (runId, everyMs) =>
      api.until(`/v1/runs/${runId}`, { answer: runSchema, isDone: ({ result }) => result !== null, everyMs }),
    async processes(text) {
      const { stdout } = await runProcess({
        command: 'ps',
        args: ['-eo', 'args='],
        env: { PATH: process.env['PATH'] ?? '' },
        signal,
        timeoutMs: 10_000,
      });
      return stdout.split('\n').filter((line) => line.includes(text)).length;
    },
    stop,
  };
}

async function hookArrival(api: ApiClient, repositoryId: string, runId: string): Promise<number> {
  const { items } = await api.call('GET', `/v1/repositories/${repositoryId}/source-events`, {
    answer: z.object({ items: z.array(z.looseObject({ receivedAt: z.string(), outcome: z.unknown() })) }),
  });
  const event = items.find(({ outcome }) => JSON.stringify(outcome).includes(runId));
  return Date.parse(event?.receivedAt ?? '');
}
