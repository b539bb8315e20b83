import { createListener } from '../../db/listener.ts';
import { logChannel, progressChannel } from '../../db/repositories/build-log.ts';
import { recordRunEvent, runChannel } from '../../db/repositories/record.ts';
import type { Listener } from '../../db/listener.ts';
import { adminToken, createTestApi } from './api.ts';
import type { Answer } from './api.ts';
import { appendLog } from './build-log.ts';
import { createMemoryObjects } from './memory-objects.ts';
import { seedBuild } from './seed-build.ts';

/** An API with builds whose logs a test writes. */
export async function createLogWorld() {
  const stopping = new AbortController();
  const objects = createMemoryObjects();
  let listener: Listener | undefined;
  const api = await createTestApi({
    objectStore: objects,
    stopping: stopping.signal,
    listener: { on: (channel, handler) => listener?.on(channel, handler) ?? (() => {}) },
  });
  const channels = [logChannel, progressChannel, runChannel];
  listener = createListener({ url: api.database.url, channels, onError: () => {} });
  await listener.start();
  const append = (buildId: string, texts: readonly string[]) =>
    appendLog({ db: api.deps.db, objects }, { buildId, texts });

  return {
    api,
    objects,
    stopping,
    append,
    /** A build that goes on, with these lines in its log. */
    async seedBuild(...segments: (readonly string[])[]) {
      const { runId, buildId: id } = await seedBuild(api.deps.db);
      for (const texts of segments) await append(id, texts);
      const end = async () => {
        await api.deps.db
          .updateTable('build')
          .set({ status: 'success', ended_at: new Date() })
          .where('id', '=', id)
          .execute();
        await api.deps.db
          .transaction()
          .execute((trx) => recordRunEvent(trx, { runId, type: 'run.success', data: null, at: new Date() }));
      };
      return { id, end };
    },
    open: (path: string, headers: Readonly<Record<string, string>> = {}) =>
      api.app.request(path, { headers: { authorization: `Bearer ${adminToken}`, ...headers } }),
    async close() {
      await listener?.stop();
      await api.close();
    },
  };
}

export type LogWorld = Awaited<ReturnType<typeof createLogWorld>>;

/** `line 3`, `line 4`, … */
export function numbered(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, index) => `line ${from + index}`);
}

/** The numbers of an answer's lines. */
export function linesOf({ body }: Pick<Answer, 'body'>): number[] {
  return Array.isArray(body?.['items']) ? body['items'].map((item: { line: number }) => item.line) : [];
}
