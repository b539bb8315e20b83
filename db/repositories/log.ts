import { sql } from 'kysely';
import { notFound } from '../../domain/errors.ts';
import type { MarkedSegment } from '../../domain/log-steps.ts';
import type { Architecture } from '../../domain/build.ts';
import type { Database } from '../database.ts';
import type { BuildRow, LogSegmentRow } from '../tables/build.ts';

/** Where a build's log stands, and whether anything can still come. */
export type LogHead = Pick<
  BuildRow,
  'id' | 'run_id' | 'status' | 'log_lines' | 'log_bytes' | 'log_removed_at' | 'ended_at'
>;

/** A stored piece of a log, as much of its row as reading it needs. */
export type LogSegment = Pick<LogSegmentRow, 'first_line' | 'lines' | 'object_key' | 'first_byte'>;

/** Throws 404 `build.not_found`. */
export async function getLogHead(db: Database, buildId: string): Promise<LogHead> {
  const head = await db
    .selectFrom('build')
    .select(['id', 'run_id', 'status', 'log_lines', 'log_bytes', 'log_removed_at', 'ended_at'])
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
): Promise<LogSegment[]> {
  // The one segment that may hold the next line, found by the key instead of by looking at all that lie before it.
  const begin = db
    .selectFrom('log_segment')
    .select(sql<number>`coalesce(max(first_line), 0)`.as('line'))
    .where('build_id', '=', buildId)
    .where('first_line', '<=', afterLine + 1);
  let query = db
    .selectFrom('log_segment')
    .select(['first_line', 'lines', 'object_key', 'first_byte'])
    .where('build_id', '=', buildId)
    .where('first_line', '>=', begin)
    .where((eb) => eb(eb('first_line', '+', eb.ref('lines')), '>', afterLine + 1));
  if (platform !== undefined) query = query.where('platform', '=', platform);
  return query.orderBy('first_line').limit(limit).execute();
}

/** The last segment that begins at or before a byte of the raw log; undefined where that is not known. */
export async function findSegmentAtByte(
  db: Database,
  { buildId, byte }: { buildId: string; byte: number },
): Promise<LogSegment | undefined> {
  return db
    .selectFrom('log_segment')
    .select(['first_line', 'lines', 'object_key', 'first_byte'])
    .where('build_id', '=', buildId)
    .where('first_byte', '<=', byte)
    .orderBy('first_line', 'desc')
    .limit(1)
    .executeTakeFirst();
}

/** Consecutive lines of one architecture. */
export interface LogRange {
  readonly line: number;
  readonly lines: number;
}

/** Where the lines of one architecture stand among all others; neighbours are one. */
export async function listPlatformRanges(
  db: Database,
  { buildId, platform }: { buildId: string; platform: Architecture },
): Promise<LogRange[]> {
  const segments = await db
    .selectFrom('log_segment')
    .select(['first_line', 'lines'])
    .where('build_id', '=', buildId)
    .where('platform', '=', platform)
    .orderBy('first_line')
    .execute();
  const ranges: { line: number; lines: number }[] = [];
  for (const { first_line: line, lines } of segments) {
    const last = ranges.at(-1);
    if (last !== undefined && last.line + last.lines === line) last.lines += lines;
    else ranges.push({ line, lines });
  }
  return ranges;
}

/** The segments in which steps begin or end, in order. */
export async function listMarkedSegments(db: Database, buildId: string): Promise<MarkedSegment[]> {
  return db
    .selectFrom('log_segment')
    .select(['first_line as firstLine', 'marks'])
    .select(sql<Architecture | null>`platform`.as('platform'))
    .where('build_id', '=', buildId)
    .where(sql<boolean>`marks <> '[]'`)
    .orderBy('first_line')
    .execute();
}

/** A segment whose time is over, with the object that holds it. */
export type ExpiredSegment = Pick<LogSegmentRow, 'build_id' | 'first_line' | 'object_key'>;

/** Segments of builds that ended before a moment, oldest builds first (docs/product.md, section 15, "kept"). */
export async function listExpiredSegments(
  db: Database,
  { endedBefore, limit }: { endedBefore: Date; limit: number },
): Promise<ExpiredSegment[]> {
  return db
    .selectFrom('log_segment')
    .innerJoin('build', 'build.id', 'log_segment.build_id')
    .select(['log_segment.build_id', 'log_segment.first_line', 'log_segment.object_key'])
    .where('build.log_removed_at', 'is', null)
    .where('build.log_lines', '>', 0)
    .where('build.ended_at', '<', endedBefore)
    .orderBy('build.ended_at')
    .orderBy('log_segment.build_id')
    .orderBy('log_segment.first_line')
    .limit(limit)
    .execute();
}

/**
 * Forgets segments whose objects are gone; a build that has none left says from then on that its log was removed. To be called
 * after the objects are deleted: an object without a row could not be found again.
 */
export async function deleteSegments(
  db: Database,
  { segments, at }: { segments: readonly ExpiredSegment[]; at: Date },
): Promise<void> {
  const buildIds = [...new Set(segments.map(({ build_id: id }) => id))];
  if (buildIds.length === 0) return;
  const keys = segments.map(({ object_key: key }) => key);
  await db.transaction().execute(async (trx) => {
    await trx.deleteFrom('log_segment').where('build_id', 'in', buildIds).where('object_key', 'in', keys).execute();
    await trx
      .updateTable('build')
      .set({ log_removed_at: at })
      .where('id', 'in', buildIds)
      .where('log_removed_at', 'is', null)
      .where((eb) =>
        eb.not(
          eb.exists(
            eb.selectFrom('log_segment').select('first_line').whereRef('log_segment.build_id', '=', 'build.id'),
          ),
        ),
      )
      .execute();
  });
}
