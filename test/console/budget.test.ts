import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';

// Sizes as gzip packs them: what a browser really fetches through a compressing front.
const firstRouteScriptBytes = 200 * 1024;
const firstRouteStyleBytes = 40 * 1024;
const lazyRouteBytes = 80 * 1024;

const manifestSchema = z.record(
  z.string(),
  z.object({
    file: z.string(),
    isEntry: z.boolean().optional(),
    imports: z.array(z.string()).default([]),
    css: z.array(z.string()).default([]),
  }),
);
type Manifest = z.infer<typeof manifestSchema>;

let outDir = '';
let manifest: Manifest = {};

beforeAll(async () => {
  outDir = await mkdtemp(join(tmpdir(), 'slipway-console-'));
  await build({ configFile: 'console/vite.config.ts', logLevel: 'error', build: { outDir } });
  manifest = manifestSchema.parse(JSON.parse(await readFile(join(outDir, '.vite/manifest.json'), 'utf8')));
}, 60_000);
afterAll(() => rm(outDir, { recursive: true, force: true }));

test('the first page loads within its budget', async () => {
  const entry = Object.keys(manifest).find((key) => manifest[key]?.isEntry === true) ?? '';
  const { scripts, styles } = filesOf(entry);
  expect(await gzipBytes(scripts)).toBeLessThanOrEqual(firstRouteScriptBytes);
  expect(await gzipBytes(styles)).toBeLessThanOrEqual(firstRouteStyleBytes);
});

test('what a page loads later is small', async () => {
  const entry = Object.keys(manifest).find((key) => manifest[key]?.isEntry === true) ?? '';
  const first = new Set(filesOf(entry).scripts);
  const later = Object.keys(manifest).filter((key) => !first.has(manifest[key]?.file ?? ''));
  for (const key of later) {
    const scripts = filesOf(key).scripts.filter((file) => !first.has(file));
    expect(await gzipBytes(scripts)).toBeLessThanOrEqual(lazyRouteBytes);
  }
});

test('the page runs no inline script, as the content security policy demands', async () => {
  const page = await readFile(join(outDir, 'index.html'), 'utf8');
  for (const [, attributes, body] of page.matchAll(/<script([^>]*)>([^<]*)</g)) {
    expect(attributes).toMatch(/ src="\//);
    expect(body).toBe('');
  }
  expect(page).not.toMatch(/ on[a-z]+="/);
});

/** An entry's own files and those it imports at once. */
function filesOf(key: string, seen = new Set<string>()): { scripts: string[]; styles: string[] } {
  const chunk = manifest[key];
  if (chunk === undefined || seen.has(key)) return { scripts: [], styles: [] };
  seen.add(key);
  const imported = chunk.imports.map((each) => filesOf(each, seen));
  const own = chunk.file.endsWith('.js') ? [chunk.file] : [];
  return {
    scripts: [...own, ...imported.flatMap(({ scripts }) => scripts)],
    styles: [...chunk.css, ...imported.flatMap(({ styles }) => styles)],
  };
}

async function gzipBytes(files: readonly string[]): Promise<number> {
  const contents = await Promise.all([...new Set(files)].map((file) => readFile(join(outDir, file))));
  return contents.reduce((sum, content) => sum + gzipSync(content).length, 0);
}
