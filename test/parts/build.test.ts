import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createBuildkit } from '../../activities/drivers/buildkit.ts';
import { manifestType, startBuildkitWorld, type BuildkitWorld } from '../support/buildkit-world.ts';

const signal = new AbortController().signal;

let world: BuildkitWorld;
beforeAll(async () => {
  world = await startBuildkitWorld();
});
afterAll(() => world.stop());

const everything = `# syntax=docker/dockerfile:1-labs
FROM scratch AS base
ADD base.tar /
FROM base AS never
RUN exit 3
FROM base AS compiled
ARG GREETING
RUN --mount=type=cache,target=/cache <<EOF
  echo "greeting: $GREETING"
  echo "made" > /artifact
  cat /artifact > /cache/artifact
EOF
FROM base
COPY --from=compiled --link /artifact /artifact
COPY --link greeting.txt /greeting.txt
LABEL maintainer=ada
`;

describe('building with a real BuildKit, registry and git server', () => {
  test('the daemon says what it can build for', async () => {
    expect(await world.buildkit.platforms({ signal })).toContain('linux/amd64');
  });

  test('stages, cache mounts, heredocs and linked copies make one plain manifest, pushed by digest, under no tag', async () => {
    const built = await world.build('everything', {
      dockerfile: everything,
      files: { 'app/greeting.txt': 'hello' },
      input: { args: [{ key: 'GREETING', value: 'a,b=c; "d"\ne' }] },
    });
    expect(built).toMatchObject({ mediaType: manifestType, cachedSteps: 0 });
    const manifest = await world.fetchJson('everything', `manifests/${built.digest}`);
    expect(manifest).toMatchObject({ mediaType: manifestType, layers: { length: 3 } });
    expect(built.sizeBytes).toBeGreaterThan(100);
    const log = built.lines.join('\n');
    expect(log).toMatch(/build #\d+ greeting: a,b=c; "d"\nbuild #\d+ e\n/);
    // Neither the frontend image nor the stage nobody needs was touched.
    expect(log).not.toMatch(/dockerfile:1-labs|exit 3/);
    const tags = await fetch(`${world.registry.url}/v2/shop/everything/tags/list`);
    expect(await tags.text()).not.toContain('"tags":["');
  });

  test('the same commit gives the same digest, from the cache and without it, dated by the commit', async () => {
    const files = { 'app/greeting.txt': 'hello' };
    const dockerfile = everything.replace('LABEL maintainer=ada', 'LABEL maintainer=ben');
    const first = await world.build('repeated', { dockerfile, files });
    const input = { revision: first.commit };
    const cached = await world.build('repeated', { dockerfile, files, input });
    const fresh = await world.build('repeated', { dockerfile, files, input: { ...input, isCached: false } });
    expect(cached.cachedSteps).toBeGreaterThan(2);
    expect(fresh.cachedSteps).toBe(0);
    expect([cached.digest, fresh.digest]).toEqual([first.digest, first.digest]);
    const manifest = await world.fetchJson('repeated', `manifests/${first.digest}`);
    const config = await world.fetchJson('repeated', `blobs/${Object(manifest['config']).digest}`);
    expect(config).toMatchObject({
      created: '2023-11-14T22:13:20Z',
      config: { Labels: { maintainer: 'ben', 'org.opencontainers.image.revision': first.commit } },
    });
  });

  test('a Dockerfile that does not parse is told with file and line, for good', async () => {
    const failure = world.build('unparsed', { dockerfile: 'FROM scratch\nADD base.tar /\nRUNN make\n' });
    await expect(failure).rejects.toMatchObject({
      name: 'BuildFailed',
      problem: {
        code: 'build.dockerfile_invalid',
        fault: 'user',
        isPermanent: true,
        params: { file: 'Dockerfile', line: 3 },
        text: 'The Dockerfile does not hold at Dockerfile:3: unknown instruction: RUNN (did you mean RUN?). Correct it and push again.',
      },
    });
  });

  test('a step that fails is told with its line and exit code', async () => {
    const failure = world.build('failing', { dockerfile: 'FROM scratch\nADD base.tar /\n\nRUN echo before; exit 7\n' });
    await expect(failure).rejects.toMatchObject({
      problem: { code: 'build.step_failed', isPermanent: true, params: { line: 4, exitCode: 7 } },
    });
  });

  test('a file that is not in the context is told with its name', async () => {
    const failure = world.build('missing', { dockerfile: 'FROM scratch\nCOPY nothere.txt /\n' });
    await expect(failure).rejects.toMatchObject({
      problem: { code: 'build.file_missing', isPermanent: true, params: { line: 2, path: '/nothere.txt' } },
    });
  });

  test('a base image that is not there is told with its name', async () => {
    const failure = world.build('baseless', { dockerfile: 'FROM debian:nope\nRUN true\n' });
    await expect(failure).rejects.toMatchObject({
      problem: { code: 'build.base_image_missing', params: { image: 'docker.io/library/debian:nope' } },
    });
  });

  test('a build may not ask for more rights than steps have', async () => {
    const failure = world.build('insecure', {
      dockerfile: 'FROM scratch\nADD base.tar /\nRUN --security=insecure true\n',
    });
    await expect(failure).rejects.toMatchObject({ problem: { code: 'build.dockerfile_invalid', isPermanent: true } });
  });

  test('links in the context are copied as links and followed nowhere', async () => {
    const built = await world.build('links', {
      dockerfile: 'FROM scratch\nADD base.tar /\nCOPY out /out\nRUN cat /out/passwd || echo "led nowhere"\n',
      files: { 'app/out/passwd': { link: '../../../../../../../etc/shadow' } },
    });
    expect(built.lines.join('\n')).toContain('led nowhere');
  });

  test('a canceled build leaves no container within ten seconds', async () => {
    const controller = new AbortController();
    const reason = new Error('canceled by ada');
    const failure = world.build('canceled', {
      dockerfile: 'FROM scratch\nADD base.tar /\nRUN echo sleeping; sleep 600\n',
      input: {
        signal: controller.signal,
        onLines: (lines) => {
          if (lines.some(({ text }) => text.endsWith(' sleeping'))) controller.abort(reason);
        },
      },
    });
    await expect(failure).rejects.toBe(reason);
    await expect.poll(world.runningContainers, { timeout: 10_000 }).toEqual([]);
  });

  test('a build past its time is stopped, for good', async () => {
    const failure = world.build('slow', {
      dockerfile: 'FROM scratch\nADD base.tar /\nRUN sleep 601\n',
      input: { timeoutMs: 3_000 },
    });
    await expect(failure).rejects.toMatchObject({ problem: { code: 'build.timeout', isPermanent: true } });
    await expect.poll(world.runningContainers, { timeout: 10_000 }).toEqual([]);
  });

  test('a registry that is away is worth another attempt', async () => {
    const target = { host: '127.0.0.1:9', repository: 'shop/web', isInsecure: true, username: '', password: '' };
    const failure = world.build('pushless', { dockerfile: 'FROM scratch\nADD base.tar /\n', input: { target } });
    await expect(failure).rejects.toMatchObject({ problem: { code: 'build.push_failed', isPermanent: false } });
  });

  test('a daemon that is away is worth another attempt', async () => {
    const builder = createBuildkit({ buildctl: world.buildctl, address: `unix://${join(world.home, 'nobody.sock')}` });
    const failure = world.build('unbuilt', { dockerfile: 'FROM scratch\nADD base.tar /\n', builder });
    await expect(failure).rejects.toMatchObject({ problem: { code: 'build.builder_unreachable', isPermanent: false } });
  });
});
