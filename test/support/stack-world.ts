import { execFile } from 'node:child_process';
import { createHmac, randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client, Connection } from '@temporalio/client';
import { inject } from 'vitest';
import { z } from 'zod';
import { taskQueues } from '../../domain/task-queues.ts';
import { type ApiClient, createApiClient } from '../../stack/api-client.ts';
import type { StackFile } from '../../stack/stack-file.ts';
import { resolveTools } from '../../tools/resolve.ts';

/** A commit of all of Slipway's packages takes a busy machine minutes to push. */
const gitMs = 300_000;
const run = promisify(execFile);
const endedAfterMs = 240_000;

const reasonSchema = z.looseObject({ code: z.string(), text: z.string() }).nullable();
const stepSchema = z.looseObject({
  name: z.string(),
  state: z.string(),
  why: z.string().nullable(),
  reason: reasonSchema,
  result: z.unknown(),
  children: z.array(z.looseObject({ key: z.string(), state: z.string(), reason: reasonSchema, result: z.unknown() })),
});

/** A run as the API answers it, as far as tests look at it. */
export const runSchema = z.looseObject({
  id: z.string(),
  number: z.number(),
  status: z.string(),
  result: z.string().nullable(),
  reason: reasonSchema,
  cause: z.string(),
  images: z.array(z.looseObject({ tag: z.string(), digest: z.string(), platforms: z.array(z.string()) })),
  steps: z.array(stepSchema),
  temporal: z.looseObject({ workflowId: z.string() }),
});
export type Run = z.infer<typeof runSchema>;
const listedSchema = z.object({ items: z.array(z.looseObject({ id: z.string(), status: z.string() })) });

export function stackFile(): StackFile & { readonly home: string } {
  return inject('stack');
}

/** The API with the administrator's token. */
export function stackApi(): ApiClient {
  const { url, adminToken } = stackFile();
  return createApiClient({ url, token: adminToken, signal: AbortSignal.timeout(600_000) });
}

/** The stack as it says of itself now: pids change when a part was restarted. */
export async function currentStack(): Promise<StackFile> {
  return JSON.parse(await readFile(join(stackFile().home, 'stack.json'), 'utf8'));
}

/** A checkout of the sample's code, of its own. */
export interface Checkout {
  readonly folder: string;
  git(...args: string[]): Promise<string>;
  /** Writes files, commits and pushes them to the branch; answers the commit. */
  push(branch: string, files: Readonly<Record<string, string>>): Promise<string>;
  remove(): Promise<void>;
}

export async function checkoutSample(): Promise<Checkout> {
  const home = join(stackFile().home, 'sample', 'web');
  const folder = await mkdtemp(join(tmpdir(), 'slipway-checkout-'));
  const git = async (...args: string[]) =>
    (await run('git', ['-C', folder, ...args], { timeout: gitMs })).stdout.trim();
  const header = (await run('git', ['-C', home, 'config', 'http.extraHeader'])).stdout.trim();
  const origin = (await run('git', ['-C', home, 'config', 'remote.origin.url'])).stdout.trim();
  await run('git', ['-c', `http.extraHeader=${header}`, 'clone', '--quiet', origin, folder], { timeout: gitMs });
  for (const [name, value] of [
    ['http.extraHeader', header],
    ['user.name', 'Ada'],
    ['user.email', 'ada@slipway.invalid'],
  ] as const) {
    await git('config', name, value);
  }
  // The sample as it was made, whatever other tests have pushed since.
  await git('checkout', '--quiet', '-B', 'main', await git('rev-list', '--max-parents=0', 'HEAD'));
  return {
    folder,
    git,
    push: async (branch, files) => {
      await git('checkout', '--quiet', '-B', branch);
      for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
      await git('add', '--all');
      await git(
        'commit',
        '--quiet',
        '--allow-empty',
        '--message',
        `Change ${Object.keys(files).join(', ')} ${randomUUID()}`,
      );
      await git('push', '--quiet', '--force', 'origin', branch);
      return git('rev-parse', 'HEAD');
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** The one run of a commit, as soon as there is one. */
export async function runOf(api: ApiClient, commit: string): Promise<string> {
  const { items } = await api.until(`/v1/runs?commit=${commit}`, {
    answer: listedSchema,
    isDone: ({ items: found }) => found.length > 0,
    everyMs: 200,
  });
  return items[0]?.id ?? '';
}

export async function runsOf(api: ApiClient, commit: string): Promise<readonly { id: string; status: string }[]> {
  return (await api.call('GET', `/v1/runs?commit=${commit}`, { answer: listedSchema })).items;
}

/** Waits until the run is as asked for, by default ended. Throws with the run's state when it takes too long. */
export async function untilRun(api: ApiClient, id: string, isDone: (run: Run) => boolean = hasEnded): Promise<Run> {
  const deadline = Date.now() + endedAfterMs;
  let last: Run | undefined;
  try {
    return await api.until(`/v1/runs/${id}`, {
      answer: runSchema,
      isDone: (found) => {
        last = found;
        if (Date.now() > deadline) throw new Error('too long');
        return isDone(found);
      },
      everyMs: 200,
    });
  } catch (error) {
    throw new Error(`The run did not come to what was waited for: ${JSON.stringify(last, null, 1)}`, { cause: error });
  }
}

export function hasEnded({ status }: Run): boolean {
  return status === 'complete' || status === 'canceled';
}

export function stepOf(found: Run, name: string): Run['steps'][number] {
  const step = found.steps.find((each) => each.name === name);
  if (step === undefined) throw new Error(`The run has no step ${name}`);
  return step;
}

export function statesOf(found: Run): Record<string, string> {
  return Object.fromEntries(found.steps.map(({ name, state }) => [name, state]));
}

const callSchema = z.looseObject({ headers: z.record(z.string(), z.string()), body: z.string() });

/** What the sample receiver got for an image, oldest first. */
export async function callsFor(digest: string): Promise<readonly z.infer<typeof callSchema>[]> {
  const answer = await fetch(stackFile().sample.receiverUrl);
  const { items } = z.object({ items: z.array(callSchema) }).parse(await answer.json());
  return items.filter(({ body }) => body.includes(digest));
}

/** The digest a tag points at in a registry, as `regctl` sees it, or undefined when there is no such tag. */
export async function digestAt(instance: string, path: string): Promise<string | undefined> {
  try {
    return (await regctl(instance, (host) => ['image', 'digest', `${host}/${path}`])).trim();
  } catch (error) {
    if (String(error).includes('not found') || String(error).includes('404')) return undefined;
    throw error;
  }
}

/** Copies an image, all architectures, within an instance's registry, as an administrator would. */
export async function copyImage(instance: string, { from, to }: { from: string; to: string }): Promise<void> {
  await regctl(instance, (host) => ['image', 'copy', `${host}/${from}`, `${host}/${to}`]);
}

/** Runs `regctl`, logged in at an instance's registry; answers what it printed. */
async function regctl(instance: string, argsAt: (host: string) => readonly string[]): Promise<string> {
  const tools = await resolveTools(['regctl'], {
    env: process.env,
    onProgress: () => undefined,
    signal: AbortSignal.timeout(600_000),
  });
  const found = stackFile().instances.find(({ name }) => name === instance);
  const host = new URL(found?.registryUrl ?? '').host;
  const folder = await mkdtemp(join(tmpdir(), 'slipway-regctl-'));
  const config = join(folder, 'config.json');
  await writeFile(config, JSON.stringify({ hosts: { [host]: { tls: 'disabled', ...(await loginTo(instance)) } } }));
  try {
    const env = { ...process.env, REGCTL_CONFIG: config };
    return (await run(tools.regctl, argsAt(host), { env, timeout: 60_000 })).stdout;
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function loginTo(instance: string): Promise<{ user: string; pass: string }> {
  const { username, token } = await stackApi().call('POST', `/v1/instances/${instance}/authorization-tokens`, {
    body: {},
    answer: z.object({ username: z.string(), token: z.string() }),
  });
  return { user: username, pass: token };
}

/** A push delivery as GitHub would send it, signed with the hook's own secret. */
export async function deliver({
  commit,
  branch,
  deliveryId = randomUUID(),
}: {
  commit: string;
  branch: string;
  deliveryId?: string;
}): Promise<{ status: number; duplicate: boolean }> {
  const hooks: Record<string, { url: string; secret: string }> = JSON.parse(
    await readFile(join(stackFile().home, 'git', 'hooks.json'), 'utf8'),
  );
  const { url, secret } = hooks['shop/web'] ?? { url: '', secret: '' };
  const body = JSON.stringify({
    ref: `refs/heads/${branch}`,
    before: '0'.repeat(40),
    after: commit,
    created: false,
    deleted: false,
    forced: false,
    head_commit: { id: commit, message: 'By hand', author: { name: 'Ada' } },
    repository: {
      id: 1,
      full_name: 'shop/web',
      clone_url: `${stackFile().sample.gitUrl}/shop/web.git`,
      pushed_at: Math.floor(Date.now() / 1000),
    },
    pusher: { name: 'ada' },
  });
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-github-event': 'push',
      'x-github-delivery': deliveryId,
      'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
    },
    body,
  });
  const { duplicate } = z.looseObject({ duplicate: z.boolean() }).parse(await response.json());
  return { status: response.status, duplicate };
}

/** Command lines of live processes that hold `text`. */
export async function processesWith(text: string): Promise<readonly string[]> {
  const { stdout } = await run('ps', ['-eo', 'pid=,args=']);
  return stdout.split('\n').filter((line) => line.includes(text) && !line.includes('ps -eo'));
}

/** A client of the stack's Temporal server, and one run of a workflow of Slipway's own by it. */
export async function stackEngine(): Promise<{
  client: Client;
  run: (workflowType: string) => Promise<unknown>;
  close: () => Promise<void>;
}> {
  const { address, namespace } = stackFile().temporal;
  const connection = await Connection.connect({ address });
  const client = new Client({ connection, namespace });
  return {
    client,
    run: (workflowType) =>
      client.workflow.execute(workflowType, {
        taskQueue: taskQueues.chain,
        workflowId: `test/${workflowType}/${randomUUID()}`,
        args: [],
      }),
    close: () => connection.close(),
  };
}

/** The id of the sample's repository. */
export async function sampleRepositoryId(api: ApiClient): Promise<string> {
  const answer = z.object({ items: z.array(z.looseObject({ id: z.string() })) });
  const { items } = await api.call('GET', '/v1/repositories?instance=hangzhou&namespace=shop&name=web', { answer });
  return items[0]?.id ?? '';
}
