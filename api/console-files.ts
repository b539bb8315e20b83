import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { serveStatic } from '@hono/node-server/serve-static';
import type { MiddlewareHandler } from 'hono';
import type { ApiEnv } from './env.ts';

/** Built files carry a hash in their name, so a browser may keep them for ever; pages may not be kept at all. */
const immutable = 'public, max-age=31536000, immutable';

/** The console's built files; every other path a browser opens gets `index.html`, where the console's own router takes over. */
export function consoleFiles(dir: string): MiddlewareHandler<ApiEnv> {
  if (!existsSync(join(dir, 'index.html')))
    throw new Error(`There is no built console in ${dir}: index.html is missing.`);
  const file = serveStatic<ApiEnv>({ root: dir });
  const page = serveStatic<ApiEnv>({ root: dir, path: 'index.html' });
  return async (c, next) => {
    const found = (await file(c, nothing)) ?? (isPage(c.req.path) ? await page(c, nothing) : undefined);
    if (!(found instanceof Response)) return next();
    found.headers.set('cache-control', c.req.path.startsWith('/assets/') ? immutable : 'no-cache');
    return found;
  };
}

async function nothing(): Promise<void> {}

/** A missing file or an unknown path of the API is 404, not a page. */
function isPage(path: string): boolean {
  return !/^\/(v1|v2|auth|hooks|docs|assets|registry-events)(\/|$)/.test(path) && !/\.[a-z0-9]{1,5}$/i.test(path);
}
