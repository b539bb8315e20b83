import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  createBuildkit,
  type Buildkit,
  type BuiltImage,
  type ImageBuildInput,
} from '../../activities/drivers/buildkit.ts';
import type { ProgressLine } from '../../activities/drivers/buildkit-progress.ts';
import { createGit } from '../../activities/drivers/git.ts';
import { buildkitAddress, buildkitPart } from '../../stack/buildkit.ts';
import { startGitServer } from '../../stack/git-server.ts';
import { resolveTools } from '../../tools/resolve.ts';
import { createGitRoot, type CommitEntry } from './git-repository.ts';
import { startRegistry, type RegistryProcess } from './registry-process.ts';
import { shellRootfs } from './shell-rootfs.ts';
import { startParts } from './stack-parts.ts';

const run = promisify(execFile);
const signal = new AbortController().signal;
const path = process.env['PATH'] ?? '/usr/bin:/bin';
const login = { username: 'ada', password: 'hunter2-hunter2' };

export const manifestType = 'application/vnd.oci.image.manifest.v1+json';

export interface Built extends BuiltImage {
  /** Stage and text of every line. */
  readonly lines: readonly string[];
  readonly commit: string;
}

export interface Build {
  readonly dockerfile: string;
  /** Beside the Dockerfile in `app/`, which is the context; `base.tar` there is a root file system. */
  readonly files?: Readonly<Record<string, CommitEntry>>;
  readonly input?: Partial<ImageBuildInput>;
  readonly builder?: Buildkit;
}

/** A real BuildKit, registry and git server of one test file. */
export interface BuildkitWorld {
  readonly home: string;
  readonly buildctl: string;
  readonly address: string;
  readonly buildkit: Buildkit;
  readonly registry: RegistryProcess;
  /** Commits a Dockerfile with a root file system beside it, clones it from the git server, and builds it for amd64. */
  build(name: string, build: Build): Promise<Built>;
  /** `manifests/…` or `blobs/…` of `shop/<name>`. */
  fetchJson(name: string, reference: string): Promise<Record<string, unknown>>;
  /** A folder that goes with the world. */
  newFolder(): Promise<string>;
  runningContainers(): Promise<readonly string[]>;
  /** Empties the daemon's own cache: what is cached from now on comes from elsewhere. */
  forget(): Promise<void>;
  stop(): Promise<void>;
}

export async function startBuildkitWorld(): Promise<BuildkitWorld> {
  const tools = await resolveTools(['buildkit'], { env: process.env, onProgress: () => undefined, signal });
  const registry = await startRegistry();
  const parts = await startParts();
  const folder = join(parts.home, 'buildkit');
  await parts.start(buildkitPart({ ...tools, folder, registries: [registry.host] }));
  const address = buildkitAddress(folder);
  const buildkit = createBuildkit({ buildctl: tools.buildctl, address });
  const root = await createGitRoot();
  const server = await startGitServer({ root: root.root, path, login });
  const work = await mkdtemp(join(tmpdir(), 'slipway-build-'));
  const rootfs = await shellRootfs();
  const git = createGit({ path, isHttpAllowed: true });

  async function build(name: string, { dockerfile, files = {}, input = {}, builder = buildkit }: Build) {
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
    const context = { directory, commit, contextDirectory: 'app', dockerfile: 'Dockerfile', file: contextArchive };
    const { commitTime } = await git.contextArchive({ ...context, signal });
    const lines: ProgressLine[] = [];
    const built = await builder.imageBuild({
      contextArchive,
      dockerfile: 'Dockerfile',
      platform: 'linux/amd64',
      args: [],
      isCached: true,
      targetStage: null,
      secretFiles: [],
      cache: null,
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

  return {
    home: parts.home,
    buildctl: tools.buildctl,
    address,
    buildkit,
    registry,
    build,
    fetchJson: async (name, reference) => {
      const response = await fetch(`${registry.url}/v2/shop/${name}/${reference}`, {
        headers: { accept: manifestType },
      });
      if (!response.ok) throw new Error(`${reference} of shop/${name}: ${response.status}`);
      return JSON.parse(await response.text());
    },
    newFolder: () => mkdtemp(join(work, 'folder-')),
    runningContainers: async () => {
      const state = join(folder, 'state/runc-overlayfs/executor/runc');
      const { stdout } = await run('runc', ['--root', state, 'list', '-q']);
      return stdout.split('\n').filter(Boolean);
    },
    forget: async () => {
      await run(tools.buildctl, ['--addr', address, 'prune', '--all'], { timeout: 60_000 });
    },
    stop: async () => {
      await server.close();
      await root.remove();
      await parts.stop();
      await registry.stop();
      await rm(work, { recursive: true, force: true });
    },
  };
}
