import { z } from '@hono/zod-openapi';
import { isMigrated } from '../../db/migrate.ts';
import { limits } from '../../domain/limits.ts';
import { keptDaysOf } from '../../domain/retention.ts';
import type { ApiDeps } from '../deps.ts';
import { json, newRoutes, route } from '../route.ts';
import { version } from '../version.ts';

const versionSchema = z.object({ version: z.string() }).openapi('Version');
const limitsSchema = z.record(z.string(), z.number()).openapi('Limits');

const getVersion = route(
  { action: null, resource: '*', example: { version: '0.1.0' } },
  {
    method: 'get',
    path: '/version',
    summary: 'The version that answers',
    responses: { 200: json(versionSchema, 'The version.') },
  },
);

const getLimits = route(
  { action: null, resource: '*', example: { pageSizeMax: 100, apiBodyBytes: 1048576 } },
  {
    method: 'get',
    path: '/limits',
    summary: 'Every limit in force; bytes, milliseconds and days by their names',
    responses: { 200: json(limitsSchema, 'The limits (docs/product.md, section 15).') },
  },
);

/** What the API is and how far it goes (docs/product.md, section 15). */
export function systemRoutes({ config }: Pick<ApiDeps, 'config'>) {
  return newRoutes('request')
    .openapi(getVersion, (c) => c.json({ version }, 200))
    .openapi(getLimits, (c) => c.json(limitsInForce(config), 200));
}

/** The limits with what is configured in place of the defaults. */
function limitsInForce(config: ApiDeps['config']): Record<string, number> {
  const kept = keptDaysOf(config);
  return {
    ...limits,
    waitingBuildsPerNamespace: config.SLIPWAY_WAITING_BUILDS,
    deliveriesKeptDays: kept.deliveries,
    logsKeptDays: kept.logs,
    recordsKeptDays: kept.records,
  };
}

const healthSchema = z
  .object({ status: z.enum(['ok', 'unavailable']), degraded: z.array(z.enum(['temporal', 'store'])) })
  .openapi('Health');
const healthExample = { status: 'ok', degraded: [] };

const healthRoute = (path: '/livez' | '/readyz' | '/startupz', summary: string) =>
  route(
    { action: null, resource: '*', example: healthExample },
    {
      method: 'get',
      path,
      summary,
      responses: { 200: json(healthSchema, 'Yes.'), 503: json(healthSchema, 'No.') },
    },
  );

const ok = { status: 'ok' as const, degraded: [] };
const unavailable = { status: 'unavailable' as const, degraded: [] };
const databaseTimeoutMs = 2_000;

/** What health needs to know of what lies behind the process. */
export interface Readiness {
  /** Parts that do not answer, without which hooks are still accepted. */
  degraded(): Promise<readonly ('temporal' | 'store')[]>;
}

/** Health: `/livez` touches nothing; `/readyz` is 503 only for PostgreSQL, its schema, or a stopping process. */
export function healthRoutes({ db, readiness, stopping }: Pick<ApiDeps, 'db' | 'readiness' | 'stopping'>) {
  const hasDatabase = () => withinTime(isMigrated(db));
  return newRoutes('request')
    .openapi(healthRoute('/livez', 'Whether the process is alive'), (c) => c.json(ok, 200))
    .openapi(healthRoute('/startupz', 'Whether the process has started'), async (c) =>
      (await hasDatabase()) ? c.json(ok, 200) : c.json(unavailable, 503),
    )
    .openapi(healthRoute('/readyz', 'Whether requests and hooks are accepted'), async (c) => {
      if (stopping.aborted || !(await hasDatabase())) return c.json(unavailable, 503);
      return c.json({ status: 'ok' as const, degraded: [...(await readiness.degraded())] }, 200);
    });
}

async function withinTime(check: Promise<boolean>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), databaseTimeoutMs);
  });
  try {
    return await Promise.race([check, late]);
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}
