import { readFile } from 'node:fs/promises';
import { OpenAPIHono } from '@hono/zod-openapi';
import type { ApiEnv } from '../env.ts';
import { routeNotFound } from '../errors.ts';
import { escapeHtml, markdownToHtml } from '../markdown.ts';

const pages = new URL('../../docs/errors/', import.meta.url);

/** `GET /docs/errors/<code>`: the page every problem's `type` names; open to all, it says nothing about this installation. */
export function docsRoutes() {
  return new OpenAPIHono<ApiEnv>().get('/errors/:code', async (c) => {
    const code = c.req.param('code');
    const markdown = await readPage(code);
    if (markdown === undefined) throw routeNotFound('GET', c.req.path);
    return c.html(pageHtml(code, markdownToHtml(markdown)));
  });
}

async function readPage(code: string): Promise<string | undefined> {
  if (!/^[a-z0-9_]+(\.[a-z0-9_]+)?$/.test(code)) return undefined;
  try {
    return await readFile(new URL(`${code}.md`, pages), 'utf8');
  } catch {
    return undefined;
  }
}

function pageHtml(code: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escapeHtml(code)} · Slipway</title>
<style>:root{color-scheme:light dark}body{font:1rem/1.6 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}pre{overflow-x:auto;padding:1rem;border:1px solid #8888}</style></head>
<body><main>${body}</main></body>
</html>`;
}
