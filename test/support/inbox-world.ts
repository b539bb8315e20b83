import { pino } from 'pino';
import { vi } from 'vitest';
import { createDispatcher } from '../../api/dispatch.ts';
import type { ApiDeps } from '../../api/deps.ts';
import type { Engine } from '../../api/engine.ts';
import { check } from '../../cli/operator/check.ts';
import type { CheckDeps } from '../../cli/operator/check.ts';
import type { StartableRun } from '../../db/repositories/run-start.ts';
import type { SourceTips } from '../../api/source-tips.ts';
import { createRunStarter } from '../../api/start-run.ts';
import type { Listener } from '../../db/listener.ts';
import { defaultTimings } from '../../domain/chain.ts';
import { createTestApi } from './api.ts';
import type { TestApi } from './api.ts';
import type { SeededRepository } from './seed.ts';
import { githubPush } from './source-push.ts';
import type { SourceDelivery } from './source-push.ts';

/** An API with its inbox; nothing runs by itself, and the clock stands until it is set. */
export async function createInboxWorld(overrides: Partial<ApiDeps> = {}) {
  let now = new Date('2026-11-21T12:00:00Z');
  const clock = () => now;
  const api = await createTestApi({ clock, ...overrides });
  const engine = {
    startRun: vi.fn<Engine['startRun']>(async () => ({ workflowRunId: 'engine-run' })),
    cancelRun: vi.fn<Engine['cancelRun']>(async () => 'canceling'),
  };
  /** No host is asked in these worlds until a test says what it answers. */
  const sourceTips = { read: vi.fn<SourceTips['read']>(async () => null) };
  const outside = { engine, sourceTips, clock };
  const deliver = (hookId: string, { headers, body }: SourceDelivery) =>
    api.call('POST', `/hooks/${hookId}`, { headers, body, isLoggedIn: false });
  const dispatchAll = () => createReader(api, outside).dispatchAll();
  return {
    ...api,
    engine,
    sourceTips,
    clock,
    passTime: (ms: number) => (now = new Date(now.getTime() + ms)),
    deliver,
    dispatchAll,
    /** One more process that reads the same inbox. */
    createReader: (listener?: Pick<Listener, 'on'>) => createReader(api, { ...outside, listener }),
    /** GitHub pushes, and the inbox is read. */
    async push(repository: SeededRepository, payload: Readonly<Record<string, unknown>>, event = 'push') {
      await deliver(repository.hookId, githubPush(repository.hookSecret, payload, { event }));
      await dispatchAll();
    },
    runsOf: ({ id }: Pick<SeededRepository, 'id'>) =>
      api.deps.db.selectFrom('run').selectAll().where('repository_id', '=', id).orderBy('order_no').execute(),
    async outcomesOf({ hookId }: Pick<SeededRepository, 'hookId'>) {
      const inbox = api.deps.db.selectFrom('inbox').select('outcome').where('hook_id', '=', hookId);
      return (await inbox.orderBy('id').execute()).map((row) => row.outcome);
    },
    /** What an operator's check of the whole installation finds. */
    violations(isWorkflowRunning: CheckDeps['isWorkflowRunning'] = async () => true) {
      const { db, registries, objectStore } = api.deps;
      const signal = AbortSignal.timeout(20_000);
      return check({ db, registries, objectStore, isWorkflowRunning, clock, signal, graceMs: 0 });
    },
    /** Every live run of the repository ends with this result. */
    endRuns: ({ id }: Pick<SeededRepository, 'id'>, result: 'success' | 'failed') =>
      api.deps.db.updateTable('run').set({ status: 'complete', result }).where('repository_id', '=', id).execute(),
  };
}

export type InboxWorld = Awaited<ReturnType<typeof createInboxWorld>>;

/** The inbox's reader with its starter, as one API process has them; done when every start is through. */
function createReader(
  api: TestApi,
  {
    engine,
    sourceTips,
    clock,
    listener = { on: () => () => {} },
  }: {
    engine: Pick<Engine, 'startRun' | 'cancelRun'>;
    sourceTips: SourceTips;
    clock: () => Date;
    listener?: Pick<Listener, 'on'> | undefined;
  },
) {
  const log = pino({ level: 'silent' });
  const starter = createRunStarter({ db: api.deps.db, engine, listener, clock, log });
  const dispatcher = createDispatcher({
    db: api.deps.db,
    starter,
    listener,
    sourceTips,
    timings: defaultTimings,
    queueLimit: api.deps.config.SLIPWAY_WAITING_BUILDS,
    clock,
    log,
    lagMs: 0,
  });
  return {
    start: (run: StartableRun) => starter.start(run),
    sweep: () => starter.sweep(),
    /** Works by itself until the function it answers is called. */
    watch() {
      dispatcher.watch();
      starter.watch();
      return async () => {
        await dispatcher.stop();
        await starter.stop();
      };
    },
    async dispatchAll() {
      const handled = await dispatcher.dispatchAll();
      await starter.stop();
      return handled;
    },
  };
}
