import { createHmac, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent } from 'undici';
import { z } from 'zod';
import { check as findViolations } from '../cli/operator/check.ts';
import type { SeededRepository } from '../test/support/seed.ts';
import { attack, type AttackOutcome } from './intake-attack.ts';
import { type IntakeWorld, startIntakeWorld } from './intake-world.ts';
import { check, report } from './report.ts';

const hookCount = 24;
const connections = 200;
const deliveryCount = 10_000;
const bodyBytes = 8 * 1024;
const warmUpCount = 2_000;
const sendMs = 30_000;

/** One signed push and what its sender knows of it. */
interface Delivery {
  readonly path: string;
  readonly id: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What the senders saw. */
interface Sent {
  readonly seconds: number;
  readonly p99Ms: number;
  /** Ids answered 202, each with how often the answer said that it was new. */
  readonly accepted: ReadonlyMap<string, number>;
  readonly retries: number;
}

const acceptedSchema = z.object({ id: z.string(), duplicate: z.boolean() });

/**
 * The inbox under a burst: 10,000 signed pushes of 8 kB over 200 connections to 24 hooks. Once undisturbed, for the rate; once with
 * the API killed twice in the middle while senders repeat, under the same id, what was not answered 2xx; then larger bodies; then
 * beside 500 slow connections and a flood of wrong signatures.
 */
export async function run(): Promise<boolean> {
  const world = await startIntakeWorld({ hooks: hookCount });
  try {
    await send(world, [...deliveries(world, { count: warmUpCount, sizeBytes: bodyBytes })]);
    const steady = await send(world, [...deliveries(world, { count: deliveryCount, sizeBytes: bodyBytes })]);
    const steadyMb = await world.peakMb();
    const told = [...deliveries(world, { count: deliveryCount, sizeBytes: bodyBytes })];
    const disturbed = await sendWhileKilling(world, told);
    const stored = await countStored(world, told);
    console.log(`killed twice: ${disturbed.retries} deliveries were sent again`);

    const large = await send(world, deliveries(world, { count: 2_000, sizeBytes: 1_000_000 }), 64);
    const huge = await send(world, deliveries(world, { count: 20, sizeBytes: 25 * 1024 * 1024 }), 20);
    const largeMb = await world.peakMb();
    console.log(`2,000 of 1 MB in ${large.seconds.toFixed(1)} s, 20 of 25 MB in ${huge.seconds.toFixed(1)} s`);
    const attacked = await sendUnderAttack(world);
    console.log(`under attack: ${attacked.outcome.refused} wrong deliveries were refused meanwhile`);
    const violations = await violationsOf(world);
    return await report('intake', [
      check('signed deliveries of 8 kB', deliveryCount / steady.seconds, { unit: '/s', op: '>=', target: 1_500 }),
      check('answered, p99', steady.p99Ms, { unit: 'ms', op: '<=', target: 300 }),
      check('accepted and lost, API killed twice', disturbed.accepted.size - stored, { unit: '', op: '<=', target: 0 }),
      check('never accepted', deliveryCount - disturbed.accepted.size, { unit: '', op: '<=', target: 0 }),
      check('told to be new twice', doubled(disturbed), { unit: '', op: '<=', target: 0 }),
      check('violations of INV1 to INV4 and INV8 once all was read', violations, { unit: '', op: '<=', target: 0 }),
      check('answered under attack, p99', attacked.sent.p99Ms, { unit: 'ms', op: '<=', target: 1_000 }),
      check('attackers answered 5xx', attacked.outcome.failures, { unit: '', op: '<=', target: 0 }),
      check('peak memory of the API, 8 kB', steadyMb, { unit: 'MB', op: '<=', target: 600 }),
      check('peak memory of the API, 1 MB and 25 MB', largeMb, { unit: 'MB', op: '<=', target: 600 }),
    ]);
  } finally {
    await world.stop();
  }
}

/** What an operator's check finds when the inbox is read: nothing here starts a run, so there is no engine and no image to ask for. */
async function violationsOf({ db }: IntakeWorld): Promise<number> {
  const unread = () => db.selectFrom('inbox').select('id').where('state', '=', 'pending').limit(1).executeTakeFirst();
  while ((await unread()) !== undefined) await delay(500);
  const notAsked = async () => {
    throw new Error('no run, no image and no log was made');
  };
  const found = await findViolations({
    db,
    isWorkflowRunning: notAsked,
    registries: { client: notAsked },
    objectStore: { objectGetBytes: notAsked },
    clock: () => new Date(),
    signal: AbortSignal.timeout(120_000),
    graceMs: 0,
  });
  return found.length;
}

/** Made when they are asked for: a thousand large ones at once would fill this process. */
function* deliveries({ hooks }: IntakeWorld, { count, sizeBytes }: { count: number; sizeBytes: number }) {
  for (let made = 0; made < count; made += 1) {
    const hook = hooks[made % hooks.length];
    if (hook !== undefined) yield delivery(hook, sizeBytes);
  }
}

function delivery({ hookId, hookSecret }: SeededRepository, sizeBytes: number): Delivery {
  const id = randomUUID();
  // No build rule takes the branch: what is measured is the inbox, not the starting of runs.
  const push = { ref: `refs/heads/load-${id}`, after: id.replaceAll('-', '').padEnd(40, '0'), filler: '' };
  const bare = JSON.stringify(push);
  const body = bare.replace('"filler":""', `"filler":"${filler(sizeBytes - bare.length)}"`);
  return {
    path: `/hooks/${hookId}`,
    id,
    body,
    headers: {
      'content-type': 'application/json',
      'x-github-event': 'push',
      'x-github-delivery': id,
      'x-hub-signature-256': `sha256=${createHmac('sha256', hookSecret).update(body).digest('hex')}`,
    },
  };
}

/** Text about as repetitive as a payload is. */
function filler(length: number): string {
  const line = `https://api.github.com/repos/acme/app/commits/${randomUUID()} `;
  return line.repeat(Math.ceil(length / line.length)).slice(0, length);
}

/** Sends everything over so many connections; whoever is not answered 2xx sends again until it is. */
async function send({ url }: IntakeWorld, all: Iterable<Delivery>, width = connections): Promise<Sent> {
  const agent = new Agent({ connections: width, pipelining: 1, bodyTimeout: sendMs, headersTimeout: sendMs });
  const queue = all[Symbol.iterator]();
  const times: number[] = [];
  const accepted = new Map<string, number>();
  let retries = 0;
  const sender = async (): Promise<void> => {
    for (let next = queue.next(); next.done !== true; next = queue.next()) {
      const delivery = next.value;
      for (;;) {
        const start = performance.now();
        const answer = await sendOnce(agent, url, delivery);
        if (answer !== undefined) {
          times.push(performance.now() - start);
          accepted.set(delivery.id, (accepted.get(delivery.id) ?? 0) + (answer.duplicate ? 0 : 1));
          break;
        }
        retries += 1;
        await delay(50);
      }
    }
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: width }, sender));
  const seconds = (performance.now() - start) / 1_000;
  await agent.close();
  const p99Ms = times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? Number.NaN;
  return { seconds, p99Ms, accepted, retries };
}

async function sendOnce(agent: Agent, url: string, { path, headers, body }: Delivery) {
  try {
    const answer = await agent.request({ origin: url, path, method: 'POST', headers, body });
    const text = await answer.body.text();
    return answer.statusCode === 202 ? acceptedSchema.parse(JSON.parse(text)) : undefined;
  } catch {
    return undefined;
  }
}

/** The API is killed when a third and when two thirds of the deliveries are in. */
async function sendWhileKilling(world: IntakeWorld, all: readonly Delivery[]): Promise<Sent> {
  const before = await countInbox(world);
  const killing = (async () => {
    for (const part of [1 / 3, 2 / 3]) {
      while ((await countInbox(world)) - before < all.length * part) await delay(20);
      await world.killApi();
    }
  })();
  const [sent] = await Promise.all([send(world, all), killing]);
  return sent;
}

async function sendUnderAttack(world: IntakeWorld): Promise<{ sent: Sent; outcome: AttackOutcome }> {
  const attacker = attack(world.url, `/hooks/${world.hooks[0]?.hookId ?? ''}`);
  // The hook under attack is the first; honest hosts call the others.
  const others = { ...world, hooks: world.hooks.slice(1) };
  const sent = await send(world, deliveries(others, { count: 2_000, sizeBytes: bodyBytes }), 20);
  return { sent, outcome: await attacker.end() };
}

async function countInbox({ db }: IntakeWorld): Promise<number> {
  const { count } = await db
    .selectFrom('inbox')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  return Number(count);
}

/** How many of these are in the inbox; the unique index lets none be there twice. */
async function countStored({ db }: IntakeWorld, all: readonly Delivery[]): Promise<number> {
  const ids = new Set((await db.selectFrom('inbox').select('delivery_id').execute()).map((row) => row.delivery_id));
  return all.filter(({ id }) => ids.has(id)).length;
}

function doubled({ accepted }: Sent): number {
  return [...accepted.values()].filter((times) => times > 1).length;
}
