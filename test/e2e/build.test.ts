import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  createBuildkit,
  type Buildkit,
  type BuiltImage,
  type ImageBuildInput,
} from '../../activities/drivers/buildkit.ts';
import type { ProgressLine } from '../../activities/drivers/buildkit-progress.ts';
import { createGit } from '../../activities/drivers/git.ts';
import { buildkitAddress, buildkitPart } from '../../stack/buildkit.ts';
import { startGitServer, type GitServer } from '../../stack/git-server.ts';
import { resolveTools } from '../../tools/resolve.ts';
import { createGitRoot, type CommitEntry } from '../support/git-repository.ts';
import { startRegistry, type RegistryProcess } from '../support/registry-process.ts';
import { shellRootfs } from '../support/shell-rootfs.ts';
import { startParts, type TestParts } from '../support/stack-parts.ts';

const run = promisify(execFile);
const signal = new AbortController().signal;
const path = process.env['PATH'] ?? '/usr/bin:/bin';
const login = { username: 'ada', password: 'hunter2-hunter2' };
const git = createGit({ path, isHttpAllowed: true });
const manifestType = 'application/vnd.oci.image.manifest.v1+json';

let parts: TestParts;
let registry: RegistryProcess;
let buildkit: Buildkit;
let buildctl: string;
let root: Awaited<ReturnType<typeof createGitRoot>>;
let server: GitServer;
let work: string;
let rootfs: Uint8Array;

beforeAll(async () => {
  const tools = await resolveTools(['buildkit'], { env: process.env, onProgress: () => undefined, signal });
  buildctl = tools.buildctl;
  registry = await startRegistry();
  parts = await startParts();
  const folder = join(parts.home, 'buildkit');
  await parts.start(buildkitPart({ ...tools, folder, registries: [registry.host] }));
  buildkit = createBuildkit({ buildctl, address: buildkitAddress(folder) });
  root = await createGitRoot();
  server = await startGitServer({ root: root.root, path, login });
  work = await mkdtemp(join(tmpdir(), 'slipway-build-'));
  rootfs = await shellRootfs();
});
afterAll(async () => {
  await server.close();
  await root.remove();
  await parts.stop();
  await registry.stop();
  await rm(work, { recursive: true, force: true });
});

interface Built extends BuiltImage {
  readonly lines: readonly string[];
  readonly commit: string;
}

interface Build {
  readonly dockerfile: string;
  readonly files?: Readonly<Record<string, CommitEntry>>;
  readonly input?: Partial<ImageBuildInput>;
  readonly builder?: Buildkit;
}

/** Commits a Dockerfile with a root file system beside it, clones it from the git server, and builds it for amd64. */
async function build(name: string, { dockerfile, files = {}, input = {}, builder = buildkit }: Build): Promise<Built> {
  const repository = await root.repository(`shop/${name}`);
  const commit = await repository.commit({
    'app/Dockerfile': dockerfile,
    'app/base.tar': { content: rootfs },
    ...files,
  });
  const workDirectory = await mkdtemp(join(work, 'build-'));
  const directory = join(workDirectory, 'source');
  const contextArchive = join(workDirectory, 'context.tar');
  const url = `${server.url}/shop/${name}.git`;
  await git.commitClone({ url, commit, ref: 'main', credential: login, directory, signal, timeoutMs: 30_000 });
  const { commitTime } = await git.contextArchive({
    directory,
    commit,
    contextDirectory: 'app',
    dockerfile: 'Dockerfile',
    file: contextArchive,
    signal,
  });
  const lines: ProgressLine[] = [];
  const built = await builder.imageBuild({
    contextArchive,
    dockerfile: 'Dockerfile',
    platform: 'linux/amd64',
    args: [],
    isCached: true,
    target: { host: registry.host, repository: `shop/${name}`, isInsecure: true, username: '', password: '' },
    revision: commit,
    commitTime,
    cacheNamespace: 'crn-test',
    workDirectory,
    secrets: [],
    onLines: (more) => lines.push(...more),
    signal,
    timeoutMs: 60_000,
    ...input,
  });
  return { ...built, commit, lines: lines.map(({ stage, text }) => `${stage} ${text}`) };
}

async function fetchJson(name: string, reference: string): Promise<Record<string, unknown>> {
  const response = await fetch(`${registry.url}/v2/shop/${name}/${reference}`, { headers: { accept: manifestType } });
  expect(response.status).toBe(200);
  return JSON.parse(await response.text());
}

async function runningContainers(): Promise<readonly string[]> {
  const folder = join(parts.home, 'buildkit/state/runc-overlayfs/executor/runc');
  const { stdout } = await run('runc', ['--root', folder, 'list', '-q']);
  return stdout.split('\n').filter(Boolean);
}

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
    expect(await buildkit.platforms({ signal })).toContain('linux/amd64');
  });

  test('stages, cache mounts, heredocs and linked copies make one plain manifest, pushed by digest, under no tag', async () => {
    const built = await build('everything', {
      dockerfile: everything,
      files: { 'app/greeting.txt': 'hello' },
      input: { args: [{ key: 'GREETING', value: 'a,b=c; "d"\ne' }] },
    });
    expect(built).toMatchObject({ mediaType: manifestType, cachedSteps: 0 });
    const manifest = await fetchJson('everything', `manifests/${built.digest}`);
    expect(manifest).toMatchObject({ mediaType: manifestType, layers: { length: 3 } });
    expect(built.sizeBytes).toBeGreaterThan(100);
    const log = built.lines.join('\n');
    expect(log).toMatch(/build #\d+ greeting: a,b=c; "d"\nbuild #\d+ e\n/);
    // Neither the frontend image nor the stage nobody needs was touched.
    expect(log).not.toMatch(/dockerfile:1-labs|exit 3/);
    const tags = await fetch(`${registry.url}/v2/shop/everything/tags/list`);
    expect(await tags.text()).not.toContain('"tags":["');
  });

  test('the same commit gives the same digest, from the cache and without it, dated by the commit', async () => {
    const files = { 'app/greeting.txt': 'hello' };
    const dockerfile = everything.replace('LABEL maintainer=ada', 'LABEL maintainer=ben');
    const first = await build('repeated', { dockerfile, files });
    const input = { revision: first.commit };
    const cached = await build('repeated', { dockerfile, files, input });
    const fresh = await build('repeated', { dockerfile, files, input: { ...input, isCached: false } });
    expect(cached.cachedSteps).toBeGreaterThan(2);
    expect(fresh.cachedSteps).toBe(0);
    expect([cached.digest, fresh.digest]).toEqual([first.digest, first.digest]);
    const manifest = await fetchJson('repeated', `manifests/${first.digest}`);
    const config = await fetchJson('repeated', `blobs/${Object(manifest['config']).digest}`);
    expect(config).toMatchObject({
      created: '2023-11-14T22:13:20Z',
      config: { Labels: { maintainer: 'ben', 'org.opencontainers.image.revision': first.commit } },
    });
  });

  test('a Dockerfile that does not parse is told with file and line, for good', async () => {
    const failure = build('unparsed', { dockerfile: 'FROM scratch\nADD base.tar /\nRUNN make\n' });
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
    const failure = build('failing', { dockerfile: 'FROM scratch\nADD base.tar /\n\nRUN echo before; exit 7\n' });
    await expect(failure).rejects.toMatchObject({
      problem: { code: 'build.step_failed', isPermanent: true, params: { line: 4, exitCode: 7 } },
    });
  });

  test('a file that is not in the context is told with its name', async () => {
    const failure = build('missing', { dockerfile: 'FROM scratch\nCOPY nothere.txt /\n' });
    await expect(failure).rejects.toMatchObject({
      problem: { code: 'build.file_missing', isPermanent: true, params: { line: 2, path: '/nothere.txt' } },
    });
  });

  test('a base image that is not there is told with its name', async () => {
    const failure = build('baseless', { dockerfile: 'FROM debian:nope\nRUN true\n' });
    await expect(failure).rejects.toMatchObject({
      problem: { code: 'build.base_image_missing', params: { image: 'docker.io/library/debian:nope' } },
    });
  });

  test('a build may not ask for more rights than steps have', async () => {
    const failure = build('insecure', {
      dockerfile: 'FROM scratch\nADD base.tar /\nRUN --security=insecure true\n',
    });
    await expect(failure).rejects.toMatchObject({ problem: { code: 'build.dockerfile_invalid', isPermanent: true } });
  });

  test('links in the context are copied as links and followed nowhere', async () => {
    const built = await build('links', {
      dockerfile: 'FROM scratch\nADD base.tar /\nCOPY out /out\nRUN cat /out/passwd || echo "led nowhere"\n',
      files: { 'app/out/passwd': { link: '../../../../../../../etc/shadow' } },
    });
    expect(built.lines.join('\n')).toContain('led nowhere');
  });

  test('a canceled build leaves no container within ten seconds', async () => {
    const controller = new AbortController();
    const reason = new Error('canceled by ada');
    const failure = build('canceled', {
      dockerfile: 'FROM scratch\nADD base.tar /\nRUN echo sleeping; sleep 600\n',
      input: {
        signal: controller.signal,
        onLines: (lines) => {
          if (lines.some(({ text }) => text.endsWith(' sleeping'))) controller.abort(reason);
        },
      },
    });
    await expect(failure).rejects.toBe(reason);
    await expect.poll(runningContainers, { timeout: 10_000 }).toEqual([]);
  });

  test('a build past its time is stopped, for good', async () => {
    const failure = build('slow', {
      dockerfile: 'FROM scratch\nADD base.tar /\nRUN sleep 601\n',
      input: { timeoutMs: 3_000 },
    });
    await expect(failure).rejects.toMatchObject({ problem: { code: 'build.timeout', isPermanent: true } });
    await expect.poll(runningContainers, { timeout: 10_000 }).toEqual([]);
  });

  test('a registry that is away is worth another attempt', async () => {
    const target = { host: '127.0.0.1:9', repository: 'shop/web', isInsecure: true, username: '', password: '' };
    const failure = build('pushless', { dockerfile: 'FROM scratch\nADD base.tar /\n', input: { target } });
    await expect(failure).rejects.toMatchObject({ problem: { code: 'build.push_failed', isPermanent: false } });
  });

  test('a daemon that is away is worth another attempt', async () => {
    const builder = createBuildkit({ buildctl, address: `unix://${join(parts.home, 'nobody.sock')}` });
    const failure = build('unbuilt', { dockerfile: 'FROM scratch\nADD base.tar /\n', builder });
    await expect(failure).rejects.toMatchObject({ problem: { code: 'build.builder_unreachable', isPermanent: false } });
  });
});
