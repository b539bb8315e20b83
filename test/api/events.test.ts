import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createListener } from '../../db/listener.ts';
import type { Listener } from '../../db/listener.ts';
import { recordRunEvent, runChannel } from '../../db/repositories/record.ts';
import { adminToken } from '../support/api.ts';
import { nextEvent, readEvents } from '../support/event-stream.ts';
import type { ReceivedEvent } from '../support/event-stream.ts';
import { createInboxWorld } from '../support/inbox-world.ts';
import type { InboxWorld } from '../support/inbox-world.ts';
import { seedBuildRule, seedChain, seedRepository } from '../support/seed.ts';

let world: InboxWorld;
let listener: Listener;
beforeAll(async () => {
  world = await createInboxWorld({ listener: { on: (channel, handler) => listener.on(channel, handler) } });
  listener = createListener({ url: world.database.url, channels: [runChannel], onError: () => {} });
  await listener.start();
});
afterAll(async () => {
  await listener.stop();
  await world.close();
});

/** A chain with one run. */
async function seedRun() {
  const repository = await seedRepository(world.deps.db, world.deps.secretBox);
  await seedBuildRule(world.deps.db, repository.id, {
    ref: { type: 'branch', name: 'main' },
    imageTags: [{ template: 'x' }],
  });
  const chainId = await seedChain(world.deps.db, repository.instanceId, { name: 'main' });
  await world.push(repository, {});
  const [run] = await world.runsOf(repository);
  return { runId: run?.id ?? '', chainId };
}

const note = (runId: string, type: string) =>
  world.deps.db.transaction().execute((trx) => recordRunEvent(trx, { runId, type, data: null, at: new Date() }));

async function open(topics: string, headers: Readonly<Record<string, string>> = {}) {
  const response = await world.app.request(`/v1/events?topics=${topics}`, {
    headers: { authorization: `Bearer ${adminToken}`, ...headers },
  });
  return readEvents(response);
}

const stateOf = ({ data }: ReceivedEvent): unknown => JSON.parse(data);

describe('the state stream', () => {
  it('sends each change of the run asked for, and no other', async () => {
    const [mine, other] = [await seedRun(), await seedRun()];
    const events = await open(`run:${mine.runId}`);
    await note(other.runId, 'run.started');
    await note(mine.runId, 'run.started');
    await note(mine.runId, 'step.running');
    expect(stateOf(await nextEvent(events))).toEqual({
      topic: `run:${mine.runId}`,
      type: 'run.started',
      id: mine.runId,
      version: 3,
    });
    expect(stateOf(await nextEvent(events))).toMatchObject({ type: 'step.running', version: 4 });
    await events.return(undefined);
  });

  it.each([
    ['a chain', (chainId: string) => `chain:${chainId}`],
    ['all runs', () => 'runs'],
  ])('of %s sends the changes of its runs', async (_, topicOf) => {
    const { runId, chainId } = await seedRun();
    const events = await open(topicOf(chainId));
    await note(runId, 'run.started');
    expect(stateOf(await nextEvent(events))).toMatchObject({ topic: topicOf(chainId), id: runId });
    await events.return(undefined);
  });

  it('resumes after Last-Event-ID: what came meanwhile is sent first', async () => {
    const { runId } = await seedRun();
    const before = await open(`run:${runId}`);
    await note(runId, 'run.started');
    const { id } = await nextEvent(before);
    await before.return(undefined);
    await note(runId, 'step.running');
    const after = await open(`run:${runId}`, { 'last-event-id': id ?? '' });
    expect(stateOf(await nextEvent(after))).toMatchObject({ type: 'step.running' });
    await after.return(undefined);
  });

  it('sends an event whose transaction commits after a newer one', async () => {
    const [slow, quick] = [await seedRun(), await seedRun()];
    const events = await open(`run:${slow.runId},run:${quick.runId}`);
    await world.deps.db.transaction().execute(async (trx) => {
      await recordRunEvent(trx, { runId: slow.runId, type: 'run.started', data: null, at: new Date() });
      await note(quick.runId, 'run.started');
      expect(stateOf(await nextEvent(events))).toMatchObject({ id: quick.runId });
    });
    expect(stateOf(await nextEvent(events))).toMatchObject({ id: slow.runId });
    await events.return(undefined);
  });

  it.each(['everything', 'run:', 'run:a b', 'runs,,'])('refuses the topics "%s"', async (topics) => {
    const answer = await world.call('GET', `/v1/events?topics=${encodeURIComponent(topics)}`);
    expect(answer).toMatchObject({ status: 422, body: { errors: [{ code: 'request.topics_invalid' }] } });
  });
});
