import { createHash } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import type { Database } from '../../db/database.ts';
import { appendLogSegment } from '../../db/repositories/build-log.ts';
import type { Architecture } from '../../domain/build.ts';
import { formatLogSegment } from '../../domain/log-line.ts';
import type { LogMark } from '../../domain/log-steps.ts';
import type { MemoryObjects } from './memory-objects.ts';

/** Appends one segment to a build's log as a worker does: the object first, then its row and notice. */
export async function appendLog(
  { db, objects }: { db: Database; objects: MemoryObjects },
  {
    buildId,
    texts,
    platform = null,
    marks = [],
  }: {
    buildId: string;
    texts: readonly string[];
    platform?: Architecture | null;
    marks?: readonly LogMark[];
  },
): Promise<void> {
  const lines = texts.map((text) => ({ time: '2026-11-21T12:00:00.000Z', stage: 'build' as const, platform, text }));
  const content = zstdCompressSync(formatLogSegment(lines));
  const sha256 = createHash('sha256').update(content).digest('hex');
  const key = `logs/build/${buildId}/${sha256}-${texts.length}-${performance.now()}.zst`;
  objects.put(key, content);
  await appendLogSegment(db, {
    build_id: buildId,
    lines: lines.length,
    bytes: content.length,
    sha256,
    object_key: key,
    platform,
    attempt: 1,
    marks,
    textBytes: texts.reduce((sum, text) => sum + Buffer.byteLength(text) + 1, 0),
    isCut: false,
  });
}
