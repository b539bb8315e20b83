import { z } from '@hono/zod-openapi';
import { getNewestEventId } from '../../db/repositories/events.ts';
import type { EventTopics } from '../../db/repositories/events.ts';
import { invalidRequest } from '../../domain/errors.ts';
import type { ApiDeps } from '../deps.ts';
import { eventStream } from '../event-stream.ts';
import { newRoutes, route } from '../route.ts';
import { followStates } from '../state-stream.ts';

const topicsMax = 50;

const stream = route(
  { action: 'cr:GetChainInstance', resource: '*', example: null },
  {
    method: 'get',
    path: '/events',
    summary: 'Follow state changes by server-sent events; `Last-Event-ID` resumes after that event',
    request: {
      query: z.strictObject({
        topics: z.string().min(1).max(4_000).openapi({ description: 'run:ID, chain:ID or runs, separated by commas.' }),
      }),
    },
    responses: {
      200: {
        description: 'Events `{topic, type, id, version}`: read the run `id` again when `version` is newer than yours.',
        content: { 'text/event-stream': { schema: z.string() } },
      },
    },
  },
);

/** The state stream (docs/product.md, section 12): one per browser, fed from the runs' trails. */
export function eventRoutes(deps: Pick<ApiDeps, 'db' | 'listener' | 'stopping'>) {
  return newRoutes('events').openapi(stream, async (c) => {
    const topics = parseTopics(c.req.valid('query').topics);
    const last = c.req.header('last-event-id') ?? '';
    const afterId = /^\d{1,15}$/.test(last) ? Number(last) : await getNewestEventId(deps.db);
    return eventStream((sink) => followStates(deps, { topics, afterId, sink }), deps);
  });
}

/** Throws 422 with `request.topics_invalid`. */
function parseTopics(text: string): EventTopics {
  const names = text.split(',');
  const idsOf = (kind: string) =>
    names.filter((name) => name.startsWith(`${kind}:`)).map((name) => name.slice(kind.length + 1));
  const isKnown = (name: string) => name === 'runs' || /^(run|chain):[A-Za-z0-9-]{1,64}$/.test(name);
  if (names.length > topicsMax || !names.every(isKnown)) {
    throw invalidRequest([
      {
        pointer: '?topics',
        code: 'request.topics_invalid',
        message: `"topics" must be at most ${topicsMax} of run:ID, chain:ID and runs, separated by commas.`,
      },
    ]);
  }
  return { isEveryRun: names.includes('runs'), runIds: idsOf('run'), chainIds: idsOf('chain') };
}
