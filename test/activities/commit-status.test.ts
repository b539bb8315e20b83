import { pino } from 'pino';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createCommitStatusActivities } from '../../activities/commit-status.ts';
import { createEgress } from '../../activities/drivers/egress.ts';
import { createSourceHosts } from '../../activities/drivers/source-host.ts';
import { createCommitStatuses } from '../../api/commit-statuses.ts';
import type { CommitStatusesDeps } from '../../api/commit-statuses.ts';
import type { Database } from '../../db/database.ts';
import { recordRunStart } from '../../db/repositories/record.ts';
import { recordRunEnd } from '../../db/repositories/run-end.ts';
import { insertSecret, openSecret } from '../../db/repositories/secret.ts';
import { setHookState } from '../../db/repositories/source-binding.ts';
import type { RunResult } from '../../domain/record.ts';
import { createTestDatabase } from '../support/database.ts';
import { runActivity } from '../support/run-activity.ts';
import { seedBuild } from '../support/seed-build.ts';
import { storedLogins } from '../support/source-logins.ts';
import type { ApiHost } from '../support/source-hosts/host-script.ts';
import { startScriptedHost } from '../support/source-hosts/scripted-host.ts';

let db: Database;
let close: () => Promise<void>;
const open: (() => Promise<void>)[] = [];

beforeAll(async () => {
  ({ db, close } = await createTestDatabase());
});
afterAll(async () => {
  await Promise.all(open.map((closeOne) => closeOne()));
  await close();
});

const at = new Date('2026-11-21T12:00:00Z');
const commit = 'd4ef3dc3b77a011a5779eec7efdd45f1ccab0a01';

/** One build of `acme/web`, bound with a token to a scripted host; `changes` says what the engine was told of. */
async function newWorld(host: ApiHost = 'github') {
  const scripted = await startScriptedHost(host);
  open.push(() => scripted.close());
  const build = await seedBuild(db, { commit });
  const { secretBox, repository } = build;
  const value = JSON.stringify({ kind: 'token', token: 'canary-host-token' });
  const credentialRef = await insertSecret(db, secretBox, { ownerId: repository.instanceId, kind: 'source', value });
  await db
    .updateTable('source_account')
    .set({ base_url: scripted.url, credential_ref: credentialRef, credential_kind: 'token' })
    .where('instance_id', '=', repository.instanceId)
    .execute();
  await db
    .updateTable('source_binding')
    .set({ code_repository: 'web' })
    .where('repository_id', '=', repository.id)
    .execute();
  const signalCommitStatus = vi.fn<CommitStatusesDeps['engine']['signalCommitStatus']>(async () => {});
  const statuses = createCommitStatuses({
    db,
    engine: { signalCommitStatus },
    listener: { on: () => () => {} },
    timings: { triggerLadderScale: 1 },
    log: pino({ level: 'silent' }),
  });
  const { sendCommitStatus } = createCommitStatusActivities({
    db,
    sourceHosts: createSourceHosts({ openEgress: () => createEgress({ policy: loopback }) }),
    sourceLogins: storedLogins((ref) => openSecret(db, secretBox, ref)),
    publicUrl: 'https://slipway.example',
    clock: () => at,
  });
  const outbox = () =>
    db.selectFrom('commit_status').selectAll().where('repository_id', '=', repository.id).executeTakeFirst();
  return {
    ...build,
    host: scripted,
    outbox,
    /** How often the engine was told of this commit. */
    announced: async () => {
      const { id } = (await outbox()) ?? {};
      const told = await Promise.allSettled(signalCommitStatus.mock.results.map(({ value }) => value));
      return signalCommitStatus.mock.calls.filter(
        ([{ statusId }], index) => statusId === id && told[index]?.status === 'fulfilled',
      ).length;
    },
    statuses,
    signalCommitStatus,
    start: () => recordRunStart(db, { runId: build.runId, at }),
    end: (result: RunResult, text: string) =>
      recordRunEnd(db, { runId: build.runId, attempt: 1, result, reason: { code: 'run.x', params: {}, text }, at }),
    send: async () => runActivity(sendCommitStatus, { statusId: (await outbox())?.id ?? '' }),
    binding: () =>
      db.selectFrom('source_binding').selectAll().where('repository_id', '=', repository.id).executeTakeFirstOrThrow(),
  };
}

const loopback = { allow: ['loopback'], denied: [], ports: 'any', isHttpAllowed: true } as const;

test('each change of a run is announced once and said to the host, with a link', async () => {
  const world = await newWorld();
  await world.start();
  await world.statuses.announceAll();
  expect(await world.statuses.announceAll()).toBe(0);
  expect(await world.announced()).toBe(1);
  expect(await world.send()).toMatchObject({ isSettled: true });
  await world.end('success', 'Succeeded in 12 s');
  await world.statuses.announceAll();
  expect(await world.announced()).toBe(2);
  await world.send();
  const path = `${world.repository.namespace}/${world.repository.name}`;
  const url = `https://slipway.example/repositories/${world.repository.id}/build?build=${world.buildId}`;
  const said = { commit, context: `slipway/${path}`, url };
  expect(world.host.state.statuses).toEqual([
    { ...said, state: 'pending', description: 'Running' },
    { ...said, state: 'success', description: 'Succeeded in 12 s' },
  ]);
  expect(await world.outbox()).toMatchObject({ sent_state: 'success', sent_version: 2, issue: null });
});

test('what is said late is what holds then: the newest state wins', async () => {
  const world = await newWorld();
  await world.start();
  await world.end('denied', 'Blocked: 1 finding at or above high');
  await world.send();
  await world.send();
  expect(world.host.state.statuses.map(({ state }) => state)).toEqual(['failure', 'failure']);
});

test('a credential without the right switches statuses off, which the binding says, until it is bound again', async () => {
  const world = await newWorld('gitlab');
  world.host.state.maySetStatus = false;
  await db
    .updateTable('source_account')
    .set({ host: 'gitlab' })
    .where('instance_id', '=', world.repository.instanceId)
    .execute();
  await world.start();
  expect(await world.send()).toMatchObject({ isSettled: true, statusCode: 403 });
  const { status_issue: issue } = await world.binding();
  expect(issue).toMatchObject({ code: 'source.status_not_set' });
  expect(issue?.text).not.toContain('canary-host-token');
  await world.end('success', 'Succeeded');
  expect(await world.outbox()).toMatchObject({ version: 1 });
  expect(await db.selectFrom('run').select('result').where('id', '=', world.runId).executeTakeFirst()).toEqual({
    result: 'success',
  });
  await setHookState(db, world.repository.id, { hookRef: null, issue: null });
  expect((await world.binding()).status_issue).toBeNull();
});

test('a host that is away is told later; what it says of waiting is kept', async () => {
  const world = await newWorld();
  await world.start();
  world.host.state.fault = { status: 503, headers: { 'retry-after': '30' } };
  expect(await world.send()).toEqual({ isSettled: false, statusCode: 503, isTimeout: false, retryAfterMs: 30_000 });
  expect(await world.outbox()).toMatchObject({ sent_version: 0, issue: { code: 'source.status_not_set' } });
  expect((await world.binding()).status_issue).toBeNull();
  world.host.state.fault = null;
  expect(await world.send()).toMatchObject({ isSettled: true });
  expect(await world.outbox()).toMatchObject({ sent_version: 1, issue: null });
});

test('a commit the host does not know concerns no other', async () => {
  const world = await newWorld();
  await world.start();
  world.host.state.fault = { status: 422, body: { message: 'No commit found for SHA' } };
  expect(await world.send()).toMatchObject({ isSettled: true, statusCode: 422 });
  expect((await world.binding()).status_issue).toBeNull();
});

test('changes wait in the outbox while the engine is away', async () => {
  const world = await newWorld();
  await world.start();
  world.signalCommitStatus.mockRejectedValueOnce(new Error('away'));
  await expect(world.statuses.announceAll()).rejects.toThrow('away');
  expect(await world.announced()).toBe(0);
  await world.statuses.announceAll();
  expect(await world.announced()).toBe(1);
});

test('nothing is put in the outbox where there is nobody to tell', async () => {
  const { runId, repository } = await seedBuild(db);
  await recordRunStart(db, { runId, at });
  const rows = await db.selectFrom('commit_status').select('id').where('repository_id', '=', repository.id).execute();
  expect(rows).toEqual([]);
});
