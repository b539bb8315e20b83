import { describe, expect, test } from 'vitest';
import { toolNames, toolOf, tools } from '../../tools/catalog.ts';
import {
  cacheKey,
  compilingLine,
  goArguments,
  goEnvironment,
  namesVersion,
  toolchainFor,
  variableOf,
} from '../../tools/plan.ts';

const file = (name: string, text: string) => ({ name, content: Buffer.from(text) });
const trivy = { name: 'trivy', ...toolOf('trivy') } as const;

describe('a version text', () => {
  test.each([
    ['registry /x/registry github.com/distribution/distribution/v3 v3.1.1+unknown', '3.1.1'],
    ['buildkitd github.com/moby/buildkit v0.32.2 ', '0.32.2'],
    ['temporal version 1.8.2 (Server 1.31.2, UI 2.50.1)', '1.8.2'],
    ['Version: 0.74.0\nVulnerability DB:\n  Version: 2', '0.74.0'],
    ['Version  : 1.7.0\nBuild    : norev', '1.7.0'],
    ['VCSTag:     v0.11.5\nGoVer:      go1.26.8', '0.11.5'],
    ['0.21.9', '0.21.9'],
  ])('%j names %s', (output, version) => {
    expect(namesVersion(output, version)).toBe(true);
  });

  test.each([
    ['a newer patch', 'Version: 0.74.1', '0.74.0'],
    ['a pre-release', 'v3.1.1-rc.1', '3.1.1'],
    ['a vendor build', '0.32.2+azure-1', '0.32.2'],
    ['another program’s version behind the own', 'temporal version 1.5.1 (Server 1.8.2)', '1.8.2'],
    ['a longer number', '10.74.0', '0.74.0'],
    ['nothing', '', '0.74.0'],
  ])('with %s is not the pinned one', (_, output, version) => {
    expect(namesVersion(output, version)).toBe(false);
  });
});

describe('the cache key', () => {
  const files = [file('go.mod', 'module a'), file('go.sum', 'h1:x')];
  const key = cacheKey(toolOf('trivy'), { files, platform: 'linux/x64' });

  test('names the version and does not depend on the order of files', () => {
    expect(key).toMatch(/^0\.74\.0-[0-9a-f]{12}$/);
    expect(cacheKey(toolOf('trivy'), { files: files.toReversed(), platform: 'linux/x64' })).toBe(key);
  });

  test('changes with a byte of a file, its name, the platform, tags, environment and linked values', () => {
    const others = [
      cacheKey(toolOf('trivy'), { files: [file('go.mod', 'module b'), file('go.sum', 'h1:x')], platform: 'linux/x64' }),
      cacheKey(toolOf('trivy'), { files: [file('go.mod', 'module a'), file('go.sun', 'h1:x')], platform: 'linux/x64' }),
      cacheKey(toolOf('trivy'), { files, platform: 'linux/arm64' }),
      cacheKey({ ...toolOf('trivy'), tags: 'netgo' }, { files, platform: 'linux/x64' }),
      cacheKey({ ...toolOf('trivy'), env: {} }, { files, platform: 'linux/x64' }),
      cacheKey({ ...toolOf('trivy'), linked: {} }, { files, platform: 'linux/x64' }),
    ];
    expect(new Set([key, ...others]).size).toBe(others.length + 1);
  });
});

describe('the build', () => {
  test('is static, reproducible and names its release', () => {
    expect(goArguments(toolOf('buildkit'), { folder: '/src/buildkit', out: '/tmp/out' })).toEqual([
      'build',
      ...['-C', '/src/buildkit', '-trimpath', '-buildvcs=false'],
      ...['-tags', 'osusergo,netgo,static_build,seccomp'],
      ...['-ldflags', '-s -w -X github.com/moby/buildkit/version.Version=v0.32.2'],
      ...['-o', '/tmp/out/'],
      ...['github.com/moby/buildkit/cmd/buildkitd', 'github.com/moby/buildkit/cmd/buildctl'],
    ]);
  });

  test('keeps the machine’s Go settings and adds what the tool needs', () => {
    const env = {
      GOPROXY: 'https://proxy.example',
      GOFLAGS: '-mod=mod',
      HOME: '/root',
      CGO_ENABLED: '1',
      UNSET: undefined,
    };
    expect(goEnvironment(toolOf('trivy'), { env, toolchain: 'local' })).toEqual({
      GOPROXY: 'https://proxy.example',
      GOFLAGS: '-mod=mod',
      HOME: '/root',
      CGO_ENABLED: '0',
      GOWORK: 'off',
      GOTOOLCHAIN: 'local',
      GOEXPERIMENT: 'jsonv2',
    });
  });

  test('uses the Go of the machine if it fits and fetches the right one if it is too new', () => {
    expect(toolchainFor('go version go1.26.5 linux/amd64', trivy)).toBe('local');
    expect(toolchainFor('go version go1.26.8 linux/amd64', trivy)).toBe('local');
    expect(toolchainFor('go version go1.27.0 linux/amd64', trivy)).toBe('go1.26.8');
    expect(toolchainFor('go version go1.27rc1 linux/amd64', trivy)).toBe('go1.26.8');
  });

  test('says in one sentence that Go is missing or too old, for which tool, and the way around it', () => {
    expect(() => toolchainFor(undefined, trivy)).toThrow(
      'trivy 0.74.0 is not on this machine and compiling it needs Go 1.26.5 or later, but there is no go on PATH: install Go, or name a ready binary in SLIPWAY_TOOL_TRIVY.',
    );
    expect(() => toolchainFor('go version go1.24.4 linux/amd64', { name: 'buildkit', ...toolOf('buildkit') })).toThrow(
      'but the one on PATH is 1.24.4: install Go, or name a ready binary in SLIPWAY_TOOL_BUILDKITD and SLIPWAY_TOOL_BUILDCTL.',
    );
  });
});

test('progress says what is compiled, how far it is and how long it takes', () => {
  expect(compilingLine('trivy', tools.trivy, { index: 5, count: 6 })).toBe(
    'compiling trivy 0.74.0, 5 of 6, about 6 min, only this once',
  );
});

test('every binary has a variable of its own and one package that makes it', () => {
  const all = toolNames.flatMap((name) => toolOf(name).binaries);
  expect(new Set(all.map(variableOf)).size).toBe(all.length);
  for (const name of toolNames) {
    const { binaries, packages } = toolOf(name);
    const made = packages.map((path) => (path === '.' ? name : path.split('/').at(-1)));
    expect(made).toEqual(binaries);
  }
});
