import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { folderName } from '../../activities/drivers/build-folders.ts';
import { createDatabase } from '../../db/database.ts';
import type { ApiClient } from '../../stack/api-client.ts';
import { type BuildWorker, startBuildWorker } from '../support/build-worker.ts';
import { openStackCheck, type StackCheck } from '../support/stack-check.ts';
import {
  checkoutSample,
  type Checkout,
  digestAt,
  runOf,
  sampleRepositoryId,
  stackApi,
  stackEngine,
  stackFile,
  untilRun,
} from '../support/stack-world.ts';

let api: ApiClient;
let checkout: Checkout;
let checker: StackCheck;
let engine: Awaited<ReturnType<typeof stackEngine>>;
/** What steps of the second worker may ask: those of the first are refused by its proxy. */
const gate = createServer((request, response) => {
  asked.push(request.url ?? '');
  response.writeHead(isOpen ? 200 : 503, { connection: 'close' }).end();
});
const asked: string[] = [];
let isOpen = false;
const workers: BuildWorker[] = [];

beforeAll(async () => {
  api = stackApi();
  [checkout, checker, engine] = await Promise.all([checkoutSample(), openStackCheck(), stackEngine()]);
  await new Promise<void>((resolve) => gate.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  gate.close();
  for (const { pid } of workers) process.kill(pid, 'SIGCONT');
  await Promise.all(workers.map((worker) => worker.stop()));
  await Promise.all([checkout.remove(), checker.close(), engine.close()]);
});
afterEach(() => checker.untilClean(), 150_000);

test('a worker frozen in mid-build is taken over; thawed, it stops, and nothing it made counts', async () => {
  const region = `frozen-${randomUUID().slice(0, 8)}`;
  const first = await startWorker(region);
  await buildIn(region);
  try {
    const mark = randomUUID();
    const branch = `release-${mark.replaceAll('-', '')}`;
    const commit = await checkout.push(branch, { Dockerfile: waiting(mark) });
    await expect.poll(() => stepsOf(first), { timeout: 60_000 }).not.toEqual([]);
    process.kill(first.pid, 'SIGSTOP');
    // It is known by the way its steps have out that a build is the second worker's.
    const second = await startWorker(region, {
      SLIPWAY_BUILD_EGRESS_ALLOW: 'loopback',
      SLIPWAY_BUILD_EGRESS_PORTS: 'any',
    });
    await expect.poll(() => asked.includes(`/${mark}`), { timeout: 90_000 }).toBe(true);
    expect(await stepsOf(first)).not.toEqual([]);
    process.kill(first.pid, 'SIGCONT');
    await expect.poll(() => stepsOf(first), { timeout: 10_000 }).toEqual([]);
    expect(await stepsOf(second)).not.toEqual([]);
    isOpen = true;

    const run = await untilRun(api, await runOf(api, commit));
    expect(run.result).toBe('success');
    const [image] = run.images;
    expect(await digestAt('hangzhou', `shop/web:${image?.tag}`)).toBe(image?.digest);
    expect(await movesOf(run.id)).toEqual(run.images.map(({ tag, digest }) => ({ tag, digest })));
    expect(await attemptsOf(run.temporal.workflowId)).toEqual([{ attempt: 2, isBy: second.pid }]);
    const log = await logOf(z.string().parse(run['build']));
    expect(log).toContain('Attempt 2: the one before did not end well.');
    expect(log).toContain('Stopped.');
  } finally {
    await buildIn(null);
  }
});

async function startWorker(region: string, env: Readonly<Record<string, string>> = {}): Promise<BuildWorker> {
  const worker = await startBuildWorker(region, env);
  workers.push(worker);
  return worker;
}

async function buildIn(buildRegion: string | null): Promise<void> {
  const path = `/v1/repositories/${await sampleRepositoryId(api)}`;
  const { summary } = await api.call('GET', path, { answer: z.looseObject({ summary: z.string() }) });
  await api.call('PUT', path, { body: { summary, buildSettings: { buildRegion } }, answer: z.unknown() });
}

/** Ends when the gate, asked through the proxy of steps, lets it. */
function waiting(mark: string): string {
  const { port }: AddressInfo = Object(gate.address());
  return `FROM debian:bookworm-slim
COPY <<'EOF' /wait.pl
use IO::Socket::INET;
my ($proxy) = $ENV{HTTP_PROXY} =~ m{//([^/]+)};
for (;;) {
  my $socket = IO::Socket::INET->new($proxy);
  print $socket "GET http://127.0.0.1:${port}/${mark} HTTP/1.1\\r\\nHost: 127.0.0.1:${port}\\r\\nConnection: close\\r\\n\\r\\n" if $socket;
  exit 0 if $socket && <$socket> =~ / 200/;
  select undef, undef, undef, 0.5;
}
EOF
RUN perl /wait.pl
`;
}

/** Processes of the steps a worker builds. */
async function stepsOf({ folder }: BuildWorker): Promise<readonly string[]> {
  const own = `/slipway/${folderName(join(folder, 'buildkit'))}/`;
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const groups = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '')));
  const isStep = (line: string) => line.includes(own) && line.includes('/steps');
  return pids.filter((_, index) => groups[index]?.split('\n').some(isStep));
}

/** Every move of a tag by the run. */
async function movesOf(runId: string): Promise<readonly { tag: string; digest: string }[]> {
  const db = createDatabase({ url: stackFile().postgres.url, maxConnections: 1 });
  try {
    return await db.selectFrom('tag_move').select(['tag', 'digest']).where('run_id', '=', runId).execute();
  } finally {
    await db.destroy();
  }
}

/** The attempts at the image whose results the workflow took, with the worker that gave them. */
async function attemptsOf(workflowId: string): Promise<readonly { attempt: number; isBy: number }[]> {
  const { events } = await engine.client.workflow.getHandle(workflowId).fetchHistory();
  const images = (events ?? []).filter(
    ({ activityTaskScheduledEventAttributes: scheduled }) => scheduled?.activityType?.name === 'buildImage',
  );
  return (events ?? []).flatMap(({ activityTaskCompletedEventAttributes: completed }) => {
    if (!images.some(({ eventId }) => String(eventId) === String(completed?.scheduledEventId))) return [];
    const started = events?.find(({ eventId }) => String(eventId) === String(completed?.startedEventId));
    return [
      {
        attempt: started?.activityTaskStartedEventAttributes?.attempt ?? 0,
        isBy: Number.parseInt(completed?.identity ?? '', 10),
      },
    ];
  });
}

async function logOf(buildId: string): Promise<string> {
  const { items } = await api.call('GET', `/v1/builds/${buildId}/log?limit=1000`, {
    answer: z.object({ items: z.array(z.looseObject({ text: z.string() })) }),
  });
  return items.map(({ text }) => text).join('\n');
}
