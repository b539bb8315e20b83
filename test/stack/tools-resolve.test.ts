import { chmod, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cacheFolder, resolveTools } from '../../tools/resolve.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'slipway-tools-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** A machine with an empty cache and only these programs, each a shell script's body. */
async function machine(programs: Readonly<Record<string, string>>, more: NodeJS.ProcessEnv = {}) {
  const lines: string[] = [];
  for (const [path, body] of Object.entries(programs)) await program(join(folder, path), body);
  const env = {
    PATH: `${join(folder, 'bin')}:/usr/bin:/bin`,
    XDG_CACHE_HOME: join(folder, 'cache'),
    FOLDER: folder,
    ...more,
  };
  const signal = AbortSignal.timeout(20_000);
  return { env, lines, signal, onProgress: (line: string) => void lines.push(line) };
}

async function program(path: string, body: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `#!/bin/sh\n${body}\n`);
  await chmod(path, 0o755);
}

/** A `go` that notes each build and makes the binaries named after its packages. */
const fakeGo = `
if [ "$1" = version ]; then echo "go version go1.26.8 linux/amd64"; exit 0; fi
echo "$@" >> "$FOLDER/builds"
out=; previous=
for argument in "$@"; do [ "$previous" = -o ] && out=$argument; previous=$argument; done
mkdir -p "$out"
for argument in "$@"; do case $argument in */cmd/*) cp "$0" "$out$(basename "$argument")";; .) cp "$0" "$out"vulndb;; esac; done`;

async function builds(): Promise<string[]> {
  const text = await readFile(join(folder, 'builds'), 'utf8').catch(() => '');
  return text.split('\n').filter((line) => line !== '');
}

describe('a tool', () => {
  test('named by its variable is taken as it is, whatever its version', async () => {
    const own = await machine({ 'my/trivy': 'echo "Version: 9.9.9"', 'bin/trivy': 'echo "Version: 0.74.0"' });
    const env = { ...own.env, SLIPWAY_TOOL_TRIVY: join(folder, 'my/trivy') };
    expect(await resolveTools(['trivy'], { ...own, env })).toEqual({ trivy: join(folder, 'my/trivy') });
  });

  test('named by its variable but not there is an error, not a reason to look elsewhere', async () => {
    const own = await machine({ 'bin/trivy': 'echo "Version: 0.74.0"' }, { SLIPWAY_TOOL_TRIVY: '/nowhere/trivy' });
    await expect(resolveTools(['trivy'], own)).rejects.toThrow(
      'SLIPWAY_TOOL_TRIVY names /nowhere/trivy, which is no executable file: correct it, or unset it to let Slipway find trivy.',
    );
  });

  test('on PATH is taken if it says exactly the pinned version', async () => {
    const own = await machine({ 'bin/trivy': 'echo "Version: 0.74.0"' });
    expect(await resolveTools(['trivy'], own)).toEqual({ trivy: join(folder, 'bin/trivy') });
    expect(own.lines).toEqual([]);
  });

  test('on PATH in another version, or failing, is passed over and compiled', async () => {
    const own = await machine({
      'bin/go': fakeGo,
      'bin/trivy': 'echo "Version: 0.73.0"',
      'bin/crane': 'echo 0.21.9; exit 1',
    });
    const { trivy, crane } = await resolveTools(['trivy', 'crane'], own);
    expect(trivy).toMatch(/\/cache\/slipway\/tools\/trivy\/0\.74\.0-[0-9a-f]{12}\/trivy$/);
    expect(crane).toMatch(/\/cache\/slipway\/tools\/crane\/0\.21\.9-[0-9a-f]{12}\/crane$/);
    expect(own.lines).toEqual([
      'compiling trivy 0.74.0, 1 of 2, about 6 min, only this once',
      'compiling crane 0.21.9, 2 of 2, about 1 min, only this once',
    ]);
  });

  test('is compiled once and then found in the cache', async () => {
    const own = await machine({ 'bin/go': fakeGo });
    const first = await resolveTools(['buildkit', 'vulndb'], own);
    expect(Object.keys(first)).toEqual(['buildkitd', 'buildctl', 'vulndb']);
    expect(await resolveTools(['buildkit', 'vulndb'], own)).toEqual(first);
    expect(await builds()).toHaveLength(2);
  });

  test('of two binaries takes one from its variable and compiles for the other', async () => {
    const own = await machine({ 'bin/go': fakeGo, 'my/buildctl': 'true' });
    const env = { ...own.env, SLIPWAY_TOOL_BUILDCTL: join(folder, 'my/buildctl') };
    const { buildctl, buildkitd } = await resolveTools(['buildkit'], { ...own, env });
    expect(buildctl).toBe(join(folder, 'my/buildctl'));
    expect(buildkitd).toContain(join('cache/slipway/tools/buildkit'));
  });

  test('wanted by several at once is compiled by one of them', async () => {
    const own = await machine({ 'bin/go': `sleep 0.2\n${fakeGo}` });
    const [one, other] = await Promise.all([resolveTools(['oras'], own), resolveTools(['oras'], own)]);
    expect(one).toEqual(other);
    expect(await builds()).toHaveLength(1);
  });
});

describe('what stands in the way', () => {
  test('no Go is told in one sentence', async () => {
    const own = await machine({}, { PATH: join(folder, 'bin') });
    await expect(resolveTools(['registry'], own)).rejects.toThrow(
      /^registry 3\.1\.1 is not on this machine .* no go on PATH/,
    );
  });

  test('a failed build tells what the compiler said and leaves nothing in the cache', async () => {
    const own = await machine({
      'bin/go': `[ "$1" = version ] && echo go1.26.8 && exit 0\necho "no space left on device" >&2; exit 1`,
    });
    await expect(resolveTools(['oras'], own)).rejects.toThrow(
      'oras 1.3.3 could not be compiled: no space left on device',
    );
    expect(await readdir(join(folder, 'cache/slipway/tools/oras'))).toEqual([]);
  });

  test('one who may not compile is told how to', async () => {
    const own = await machine({ 'bin/go': fakeGo });
    await expect(resolveTools(['oras'], { ...own, mayCompile: false })).rejects.toThrow(
      'oras 1.3.3 is not compiled yet: run "node tools/main.ts oras" once, or name a ready binary in SLIPWAY_TOOL_ORAS.',
    );
  });

  test('an abort ends the compiler and rejects with its reason', async () => {
    const own = await machine({ 'bin/go': `[ "$1" = version ] && echo go1.26.8 && exit 0\nsleep 60` });
    const stop = new AbortController();
    const onProgress = () => stop.abort(new Error('not wanted any more'));
    await expect(resolveTools(['oras'], { ...own, onProgress, signal: stop.signal })).rejects.toThrow(
      'not wanted any more',
    );
  });
});

test('the cache follows XDG_CACHE_HOME if it is absolute, else the home folder', () => {
  expect(cacheFolder({ XDG_CACHE_HOME: '/var/cache', HOME: '/root' })).toBe('/var/cache/slipway');
  expect(cacheFolder({ XDG_CACHE_HOME: 'cache', HOME: '/home/me' })).toBe('/home/me/.cache/slipway');
  expect(cacheFolder({ HOME: '/home/me' })).toBe('/home/me/.cache/slipway');
});
