/**
 * The inbox's reader of an API process, alone, so that a test can kill it: real dispatcher, starter and engine over a test's
 * database and a Temporal server, as its one argument names them. Ends with whoever started it.
 */
import { Connection } from '@temporalio/client';
import { pino } from 'pino';
import { createDispatcher } from '../../api/dispatch.ts';
import { createEngine } from '../../api/engine.ts';
import { createRunStarter } from '../../api/start-run.ts';
import { createDatabase } from '../../db/database.ts';
import { defaultTimings } from '../../domain/chain.ts';

export interface DispatcherProcessInput {
  readonly postgresUrl: string;
  readonly temporal: { readonly address: string; readonly namespace: string };
  /** What this process takes for now: RFC 3339. */
  readonly now: string;
}

const { postgresUrl, temporal, now }: DispatcherProcessInput = JSON.parse(process.argv[2] ?? '');
const db = createDatabase({ url: postgresUrl, maxConnections: 5 });
const clock = () => new Date(now);
const log = pino({ level: 'warn' }, pino.destination(2));
const listener = { on: () => () => {} };
const engine = createEngine({
  connection: Connection.lazy({ address: temporal.address }),
  namespace: temporal.namespace,
});
const starter = createRunStarter({ db, engine, listener, clock, log });
createDispatcher({
  db,
  starter,
  listener,
  sourceTips: { read: async () => null },
  timings: defaultTimings,
  queueLimit: 1_000,
  clock,
  log,
  lagMs: 0,
}).watch();
process.stdin.resume().on('end', () => process.exit(0));
