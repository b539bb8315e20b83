import { sql } from 'kysely';
import type { Database } from '../database.ts';
import type { LogSegmentRow } from '../tables/build.ts';

/** The channel on which every new segment is announced; the payload is the build's id. */
export const logChannel = 'slipway_log';

/** A stored object that waits for its place in the log. */
export interface NewLogSegment extends Omit<LogSegmentRow, 'first_line'> {
  /** Bytes of its lines before compression; what the log's limit counts. */
  readonly textBytes: number;
  /** Whether it ends with the line that says the log was cut. */
  readonly isCut: boolean;
}

/** Where the log stands after a write. */
export interface LogState {
  readonly bytes: number;
  readonly isTruncated: boolean;
}

/**
 * Gives a segment its place behind all lines there are and announces it, under the build's row lock: parallel architectures share
 * one numbering, and a reader never sees a later line before an earlier one. A segment that is there already stays as it is; after
 * the cut nothing is added.
 */
export async function appendLogSegment(db: Database, segment: NewLogSegment): Promise<LogState> {
  const { textBytes, isCut, ...row } = segment;
  return db.transaction().execute(async (trx) => {
    const build = await trx
      .selectFrom('build')
      .select(['log_lines', 'log_bytes', 'is_log_truncated'])
      .where('id', '=', row.build_id)
      .forUpdate()
      .executeTakeFirstOrThrow();
    const stored = await trx
      .selectFrom('log_segment')
      .select('first_line')
      .where('build_id', '=', row.build_id)
      .where('object_key', '=', row.object_key)
      .executeTakeFirst();
    if (stored !== undefined || build.is_log_truncated) {
      return { bytes: build.log_bytes, isTruncated: build.is_log_truncated };
    }
    await trx
      .insertInto('log_segment')
      .values({ ...row, first_line: build.log_lines + 1 })
      .execute();
    const bytes = build.log_bytes + textBytes;
    await trx
      .updateTable('build')
      .set({ log_lines: build.log_lines + row.lines, log_bytes: bytes, is_log_truncated: isCut })
      .where('id', '=', row.build_id)
      .execute();
    await sql`select pg_notify(${logChannel}, ${row.build_id})`.execute(trx);
    return { bytes, isTruncated: isCut };
  });
}
