import { notFound } from '../../domain/errors.ts';
import type { Database } from '../database.ts';
import type { BuildRow, LogSegmentRow } from '../tables/build.ts';

/** Where a build's log stands, and whether anything can still come. */
export type LogHead = Pick<BuildRow, 'id' | 'run_id' | 'status' | 'log_lines' | 'log_bytes' | 'ended_at'>;

/** Throws 404 `build.not_found`. */
export async function getLogHead(db: Database, buildId: string): Promise<LogHead> {
  const head = await db
    .selectFrom('build')
    .select(['id', 'run_id', 'status', 'log_lines', 'log_bytes', 'ended_at'])
    .where('id', '=', buildId)
    .executeTakeFirst();
  if (head === undefined) throw notFound('build', buildId);
  return head;
}

/** The segments that hold lines after `afterLine`, in order; with `platform` only that architecture's. */
export async function listLogSegments(
  db: Database,
  {
    buildId,
    afterLine,
    platform,
    limit,
  }: { buildId: string; afterLine: number; platform?: string | undefined; limit: number },
): Promise<Pick<LogSegmentRow, 'first_line' | 'lines' | 'object_key'>[]> {
  let query = db
    .selectFrom('log_segment')
    .select(['first_line', 'lines', 'object_key'])
    .where('build_id', '=', buildId)
    .where((eb) => eb(eb('first_line', '+', eb.ref('lines')), '>', afterLine + 1));
  if (platform !== undefined) query = query.where('platform', '=', platform);
  return query.orderBy('first_line').limit(limit).execute();
}
