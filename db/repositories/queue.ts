import { sql } from 'kysely';
import { liveRunStatuses } from '../../domain/record.ts';
import type { RunStatus } from '../../domain/record.ts';
import type { Database, DatabaseTransaction } from '../database.ts';
import type { RunRow } from '../tables/record.ts';

/** Where something stands in a line: `place` 1 is next, `of` is how many wait. */
export interface QueuePlace {
  readonly place: number;
  readonly of: number;
}

/**
 * The places of builds that wait for a worker, by build id; those that do not wait are left out. A line is a region's and an
 * architecture's; of several a build stands where it has to wait longest. Fair shares between namespaces may let others pass.
 */
export async function buildPlaces(db: Database, buildIds: readonly string[]): Promise<ReadonlyMap<string, QueuePlace>> {
  if (buildIds.length === 0) return new Map();
  const { rows } = await sql<QueuePlace & { id: string }>`
    with ranked as (
      select build.id,
        row_number() over (partition by build.region, waits.platform order by run.priority, build.queued_at, build.id)::int as place,
        count(*) over (partition by build.region, waits.platform)::int as line
      from build
      join run on run.id = build.run_id
      join build_architecture as waits on waits.build_id = build.id and waits.status = 'pending'
      where build.ended_at is null and run.status in ('queued', 'running') and not run.is_waiting
        and not exists (select 1 from build_architecture as begun
          where begun.build_id = build.id and begun.status = 'building'))
    select distinct on (id) id, place, line as of from ranked
    where id in (${sql.join(buildIds)}) order by id, place desc, line desc`.execute(db);
  return new Map(rows.map(({ id, place, of }) => [id, { place, of }]));
}

/** The places of runs that wait for the run before them (`queue`), by run id. */
async function waitingPlaces(db: Database, runIds: readonly string[]): Promise<ReadonlyMap<string, QueuePlace>> {
  if (runIds.length === 0) return new Map();
  const { rows } = await sql<QueuePlace & { id: string }>`
    with ranked as (
      select run.id,
        row_number() over (partition by run.concurrency_key order by run.order_no)::int as place,
        count(*) over (partition by run.concurrency_key)::int as line
      from run where run.is_waiting and run.status = 'queued')
    select id, place, line as of from ranked where id in (${sql.join(runIds)})`.execute(db);
  return new Map(rows.map(({ id, place, of }) => [id, { place, of }]));
}

/** How many builds of a namespace wait for a worker (docs/product.md, section 15). */
async function countWaitingBuilds(
  db: Database | DatabaseTransaction,
  { namespaceId, atMost }: { namespaceId: string; atMost: number },
): Promise<number> {
  const waiting = db
    .selectFrom('run')
    .innerJoin('build', 'build.run_id', 'run.id')
    .select('build.id')
    .where('run.namespace_id', '=', namespaceId)
    .where('run.ended_at', 'is', null)
    .where('run.status', 'in', liveRunStatuses)
    .where('build.ended_at', 'is', null)
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('build_architecture')
            .select('build_id')
            .whereRef('build_architecture.build_id', '=', 'build.id')
            .where('build_architecture.status', '<>', 'pending'),
        ),
      ),
    )
    .limit(atMost);
  const { count } = await db
    .selectFrom(waiting.as('waiting'))
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  return count;
}

/** Whether the namespace may have one more waiting build; past it starts by hand are refused and pushes wait in the inbox. */
export async function hasQueueRoom(
  db: Database | DatabaseTransaction,
  { namespaceId, limit }: { namespaceId: string; limit: number },
): Promise<boolean> {
  return (await countWaitingBuilds(db, { namespaceId, atMost: limit })) < limit;
}

/** The places of these runs, by run id: of one that waits for its turn, else of its build where that waits for a worker. */
export async function placesOfRuns(
  db: Database,
  runs: readonly Pick<RunRow, 'id' | 'build_id' | 'status' | 'is_waiting'>[],
): Promise<ReadonlyMap<string, QueuePlace>> {
  const waiting = runs.filter((run) => run.is_waiting);
  const started = runs.filter(({ status, is_waiting: isWaiting }) => !isWaiting && startedStatuses.includes(status));
  const builds = new Map(
    started.flatMap(({ id, build_id: buildId }) => (buildId === null ? [] : [[buildId, id] as const])),
  );
  const [ofRuns, ofBuilds] = await Promise.all([
    waitingPlaces(
      db,
      waiting.map(({ id }) => id),
    ),
    buildPlaces(db, [...builds.keys()]),
  ]);
  const ofStarted = [...ofBuilds].map(([buildId, place]) => [builds.get(buildId) ?? '', place] as const);
  return new Map([...ofRuns, ...ofStarted]);
}

const startedStatuses: readonly RunStatus[] = ['queued', 'running'];
