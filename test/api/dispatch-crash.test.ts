import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEngine } from '../../api/engine.ts';
import type { Engine } from '../../api/engine.ts';
import type { Database } from '../../db/database.ts';
import type { DispatcherProcessInput } from '../support/dispatcher-process.ts';
import { createInboxWorld } from '../support/inbox-world.ts';
import type { InboxWorld } from '../support/inbox-world.ts';
import { seedBuildRule, seedRepository } from '../support/seed.ts';
import type { SeededRepository } from '../support/seed.ts';
import { githubPush } from '../support/source-push.ts';
import { startTemporal } from '../support/temporal-server.ts';
import type { TemporalProcess } from '../support/temporal-server.ts';

/** The lock a start's note waits for while the test holds it. */
const noteLock = 20_260_102;
/** After this time a start that was not noted is made again. */
const unstartedMs = 31_000;

let world: InboxWorld;
let temporal: TemporalProcess;
let engine: Engine;
let client: Client;
beforeAll(async () => {
  [world, temporal] = await Promise.all([createInboxWorld(), startTemporal()]);
  const { address, namespace } = temporal;
  const connection = Connection.lazy({ address });
  engine = createEngine({ connection, namespace });
  client = new Client({ connection, namespace });
  world.engine.startRun.mockImplementation(engine.startRun);
  // The moment between the answer of Temporal and its note, made as long as the test wants.
  await sql`create function hold_note() returns trigger language plpgsql as
    ${sql.raw(`$$ begin perform pg_advisory_xact_lock(${noteLock}); return new; end $$`)}`.execute(world.deps.db);
  await sql`create trigger hold_note before update on run for each row
    when (old.started_note_at is null and new.started_note_at is not null) execute function hold_note()`.execute(
    world.deps.db,
  );
});
afterAll(async () => {
  await engine.close();
  await temporal.stop();
  await world.close();
});

describe('a dispatcher that dies once the workflow is started, and before that is noted', () => {
  it('leaves a run that the next one takes as started: one workflow, one build', async () => {
    const repository = await pushed('d-1');
    await dieBeforeNote();
    const [run, ...others] = await world.runsOf(repository);
    expect(others).toEqual([]);
    expect(run).toMatchObject({ status: 'queued', started_note_at: null });
    const [first, ...seconds] = await executionsOf(run?.workflow_id);
    expect(seconds).toEqual([]);

    world.passTime(unstartedMs);
    expect(await world.createReader().sweep()).toBe(1);
    expect(await world.createReader().sweep()).toBe(0);
    expect(await executionsOf(run?.workflow_id)).toEqual([first]);
    expect(await world.runsOf(repository)).toMatchObject([
      { id: run?.id, workflow_run_id: first, started_note_at: world.clock() },
    ]);
    expect(await world.outcomesOf(repository)).toEqual([{ kind: 'runs', runs: [run?.id] }]);
    expect(await buildsOf(repository)).toBe(1);
    expect(await world.violations(isRunning)).toEqual([]);
  });

  it('is not made up for when the workflow has even ended by then, nor by the host sending again', async () => {
    const repository = await pushed('d-2');
    await dieBeforeNote();
    const [run] = await world.runsOf(repository);
    const executions = await executionsOf(run?.workflow_id);
    await client.workflow.getHandle(run?.workflow_id ?? '').terminate();

    world.passTime(unstartedMs);
    expect(await world.createReader().sweep()).toBe(1);
    await deliver(repository, 'd-2');
    await world.dispatchAll();
    expect(await executionsOf(run?.workflow_id)).toEqual(executions);
    expect(await world.runsOf(repository)).toMatchObject([{ id: run?.id, started_note_at: world.clock() }]);
    expect(await world.outcomesOf(repository)).toEqual([{ kind: 'runs', runs: [run?.id] }]);
    expect(await buildsOf(repository)).toBe(1);
  });
});

/** A repository of its own, and a push to it that waits in the inbox. */
async function pushed(deliveryId: string): Promise<SeededRepository> {
  const repository = await seedRepository(world.deps.db, world.deps.secretBox);
  await seedBuildRule(world.deps.db, repository.id, {
    ref: { type: 'branch', name: 'main' },
    imageTags: [{ template: 'latest' }],
  });
  await deliver(repository, deliveryId);
  return repository;
}

async function deliver(repository: SeededRepository, deliveryId: string): Promise<void> {
  const push = githubPush(repository.hookSecret, {}, { deliveryId });
  expect((await world.deliver(repository.hookId, push)).status).toBe(202);
}

/** Lets a dispatcher of its own process work on the inbox, and kills it where it would note that Temporal took the start. */
async function dieBeforeNote(): Promise<void> {
  await world.deps.db.connection().execute(async (held) => {
    await sql`select pg_advisory_lock(${noteLock})`.execute(held);
    try {
      const child = startDispatcher();
      const ended = once(child, 'exit');
      await expect.poll(() => waitingNotes(held), { timeout: 20_000 }).toHaveLength(1);
      child.kill('SIGKILL');
      expect(await ended).toEqual([null, 'SIGKILL']);
      // Its server process would still write the note: with the machine, it would be gone too.
      const [waiting] = await waitingNotes(held);
      await sql`select pg_terminate_backend(${waiting})`.execute(held);
      await expect.poll(() => waitingNotes(held)).toEqual([]);
    } finally {
      await sql`select pg_advisory_unlock(${noteLock})`.execute(held);
    }
  });
}

function startDispatcher() {
  const { url: postgresUrl } = world.database;
  const input: DispatcherProcessInput = { postgresUrl, temporal, now: world.clock().toISOString() };
  const program = join(import.meta.dirname, '../support/dispatcher-process.ts');
  return spawn(process.execPath, [program, JSON.stringify(input)], { stdio: ['pipe', 'inherit', 'inherit'] });
}

async function waitingNotes(db: Database): Promise<readonly number[]> {
  const { rows } = await sql<{ pid: number }>`select pid from pg_locks
    where locktype = 'advisory' and objid = ${noteLock} and not granted`.execute(db);
  return rows.map(({ pid }) => pid);
}

/** The engine's own ids of what it was ever told to carry out under this id. */
async function executionsOf(workflowId = ''): Promise<readonly string[]> {
  const found: string[] = [];
  const { runId } = await client.workflow.getHandle(workflowId).describe();
  found.push(runId);
  for await (const execution of client.workflow.list({ query: `WorkflowId = "${workflowId}"` })) {
    if (!found.includes(execution.runId)) found.push(execution.runId);
  }
  return found;
}

async function isRunning(workflowId: string): Promise<boolean> {
  return (await client.workflow.getHandle(workflowId).describe()).status.name === 'RUNNING';
}

async function buildsOf({ id }: SeededRepository): Promise<number> {
  const { count } = await world.deps.db
    .selectFrom('build')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('repository_id', '=', id)
    .executeTakeFirstOrThrow();
  return Number(count);
}
