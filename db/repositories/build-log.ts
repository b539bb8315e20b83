import { sql } from 'kysely';
import { limits } from '../../domain/limits.ts';
import type { LogProgress } from '../../domain/log-line.ts';
import type { Database } from '../database.ts';
import type { LogSegmentRow } from '../tables/build.ts';

/** The channel on which every new segment is announced; the payload is the build's id. */
export const logChannel = 'slipway_log';

/** A stored object that waits for its place in the log. */
export interface NewLogSegment extends Omit<LogSegmentRow, 'first_line' | 'first_byte'> {
  /** Bytes of its lines before compression; what the log's limit counts. */
  readonly textBytes: number;
  /** Whether it ends with the line that says the log was cut; such a segment is always taken. */
  readonly isCut: boolean;
  /** What the whole log may hold; another limit in tests only. */
  readonly maxBytes?: number;
}

/** What became of a segment. `full`: it does not fit, and `roomBytes` are left; `closed`: the log was cut before. */
export type AppendedSegment =
  | { readonly kind: 'stored' }
  | { readonly kind: 'full'; readonly roomBytes: number }
  | { readonly kind: 'closed' };

/**
 * Gives a segment its place behind all lines there are and announces it, under the build's row lock: parallel architectures share
 * one numbering, and a reader never sees a later line before an earlier one. A segment that is there already stays as it is; after
 * the cut nothing is added.
 */
export async function appendLogSegment(db: Database, segment: NewLogSegment): Promise<AppendedSegment> {
  const { textBytes, isCut, maxBytes = limits.logBytes, ...row } = segment;
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
    if (stored !== undefined) return { kind: 'stored' };
    if (build.is_log_truncated) return { kind: 'closed' };
    const bytes = build.log_bytes + textBytes;
    if (bytes > maxBytes && !isCut) return { kind: 'full', roomBytes: Math.max(0, maxBytes - build.log_bytes) };
    await trx
      .insertInto('log_segment')
      .values({
        ...row,
        first_line: build.log_lines + 1,
        first_byte: build.log_bytes,
        marks: JSON.stringify(row.marks),
      })
      .execute();
    await trx
      .updateTable('build')
      .set({ log_lines: build.log_lines + row.lines, log_bytes: bytes, is_log_truncated: isCut })
      .where('id', '=', row.build_id)
      .execute();
    await sql`select pg_notify(${logChannel}, ${row.build_id})`.execute(trx);
    return { kind: 'stored' };
  });
}

/** The channel of what is no line yet; the payload is a `LogProgress` with the build's id. */
export const progressChannel = 'slipway_progress';

/** Tells those who follow a log now how far something has come; nothing keeps it. */
export async function announceProgress(db: Database, progress: LogProgress & { buildId: string }): Promise<void> {
  await sql`select pg_notify(${progressChannel}, ${JSON.stringify(progress)})`.execute(db);
}
