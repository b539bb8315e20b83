import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { BuildRegistry } from '../../activities/drivers/build-daemon-config.ts';
import type { BuildExecutor, BuildLimits } from '../../activities/drivers/build-executor.ts';
import { createNamespaceExecutor } from '../../activities/drivers/build-executor-namespace.ts';
import type { BuiltImage, ImageBuildInput } from '../../activities/drivers/buildkit.ts';
import { createEgressProxyServer, createEgressRelay } from '../../activities/drivers/egress-proxy.ts';
import { createEgressTlsGate } from '../../activities/drivers/egress-tls.ts';
import { defaultEgressPolicy, type EgressPolicy } from '../../domain/egress.ts';
import { baseImageNamespace } from '../../domain/instance.ts';
import { resolveTools } from '../../tools/resolve.ts';
import { startRegistry, type RegistryProcess } from './registry-process.ts';
import { pushLayer } from './scan-image.ts';
import { shellRootfs } from './shell-rootfs.ts';

const run = promisify(execFile);

export interface IsolationOptions {
  /** Where steps and daemons may go, over the product's own rules. */
  readonly policy?: Partial<EgressPolicy>;
  /** What names mean, for the proxies. */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
  /** Asked for at each build, beside the world's own. */
  readonly registries?: () => readonly BuildRegistry[];
  /** Where the daemons keep everything; the world's own unless said otherwise. */
  readonly folder?: string;
  readonly maxBuilds?: number;
  readonly idleMs?: number;
}

export interface StepsOptions {
  readonly namespaceId?: string;
  readonly buildId?: string;
  readonly limits?: Partial<BuildLimits>;
  readonly files?: Readonly<Record<string, string>>;
  readonly input?: Partial<ImageBuildInput>;
  readonly signal?: AbortSignal;
}

export interface Steps extends BuiltImage {
  /** What the steps printed, without times. */
  readonly lines: readonly string[];
}

/** A namespace executor with real daemons and a real registry, both gone with the world. */
export interface IsolationWorld {
  readonly executor: BuildExecutor;
  readonly registry: RegistryProcess;
  /** Where the daemons keep everything. */
  readonly folder: string;
  readonly events: readonly string[];
  /**
   * Builds a Dockerfile, a build of its own unless said otherwise. `FROM base` is a hosted base image with this machine's shell,
   * curl and perl: nothing outside has it.
   * An error carries the lines that were printed.
   */
  build(dockerfile: string, options?: StepsOptions): Promise<Steps>;
  stop(): Promise<void>;
}

const plenty: BuildLimits = { memoryBytes: 1024 ** 3, cpus: 2, processes: 512 };

export async function startIsolationWorld(options: IsolationOptions = {}): Promise<IsolationWorld> {
  const signal = new AbortController().signal;
  const tools = await resolveTools(['buildkit'], { env: process.env, onProgress: () => undefined, signal });
  const registry = await startRegistry();
  const home = await mkdtemp(join(tmpdir(), 'slipway-isolation-'));
  const folder = options.folder ?? join(home, 'buildkit');
  const tar = Buffer.from(
    await shellRootfs(['/bin/bash', '/usr/bin/curl', '/usr/bin/perl', '/usr/bin/truncate', '/usr/bin/mkfifo']),
  );
  const platform = 'linux/amd64';
  await pushLayer({
    registryUrl: registry.url,
    repository: `${baseImageNamespace}/library/base`,
    platform,
    tar,
    tag: 'latest',
  });
  const policy: EgressPolicy = { ...defaultEgressPolicy, ...options.policy };
  const own: EgressPolicy = { ...policy, allow: [...policy.allow, 'loopback'] };
  const resolve = options.resolve === undefined ? {} : { resolve: options.resolve };
  const stepProxy = createEgressProxyServer({ policy, ...resolve });
  const daemonProxy = createEgressProxyServer({ policy, ...resolve });
  const events: string[] = [];
  const executor = await createNamespaceExecutor({
    tools: {
      ...tools,
      cniPlugins: '/usr/lib/cni',
      stepProxy: (socket) => stepProxy.take(socket),
      stepTlsGate: createEgressTlsGate({ policy: policy, ...resolve }),
      daemonProxy: (socket) => daemonProxy.take(socket),
      relay: createEgressRelay({ policy: own }),
    },
    folder,
    registries: async () => [
      { host: registry.host, isInsecure: true, region: 'here', hasBaseImages: true },
      ...(options.registries?.() ?? []),
    ],
    maxBuilds: options.maxBuilds ?? 4,
    idleMs: options.idleMs ?? 60_000,
    minFreeBytes: 0,
    clock: () => new Date(),
    onEvent: (text, details) => events.push(`${text} ${JSON.stringify(details)}`),
  });

  async function build(dockerfile: string, steps: StepsOptions = {}): Promise<Steps> {
    const workDirectory = await mkdtemp(join(home, 'build-'));
    const contextArchive = await packContext(workDirectory, { dockerfile, files: steps.files ?? {} });
    const lines: string[] = [];
    const namespaceId = steps.namespaceId ?? 'acme';
    const lease = await executor.lease({
      namespaceId,
      buildId: steps.buildId ?? randomUUID(),
      region: 'here',
      limits: { ...plenty, ...steps.limits },
      signal: steps.signal ?? signal,
    });
    try {
      const built = await lease.buildkit.imageBuild({
        contextArchive,
        dockerfile: 'Dockerfile',
        platform: 'linux/amd64',
        args: [],
        isCached: true,
        targetStage: null,
        secretFiles: [],
        cache: null,
        target: {
          host: registry.host,
          repository: `${namespaceId}/app`,
          isInsecure: true,
          username: '',
          password: '',
        },
        revision: '0'.repeat(40),
        commitTime: '2026-11-20T09:00:00.000Z',
        cacheNamespace: namespaceId,
        workDirectory,
        secrets: [],
        onLines: (more) => {
          for (const { text } of more) lines.push(text);
        },
        signal: steps.signal ?? signal,
        timeoutMs: 120_000,
        ...steps.input,
      });
      return { ...built, lines: printed(lines) };
    } catch (error) {
      throw Object.assign(error instanceof Error ? error : new Error(String(error)), { lines: printed(lines) });
    } finally {
      await lease.release();
      await rm(workDirectory, { recursive: true, force: true });
    }
  }

  return {
    executor,
    registry,
    folder,
    events,
    build,
    stop: async () => {
      await executor.close();
      stepProxy.close();
      daemonProxy.close();
      await registry.stop();
      await rm(home, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

/** What steps themselves said: `#7 text`, and nothing of what BuildKit tells about them. */
function printed(lines: readonly string[]): string[] {
  const words = lines.flatMap((line) => /^#\d+ (.*)$/.exec(line)?.[1] ?? []);
  return words.filter((text) => !/^(?:\[|DONE|CACHED|resolve|transferring|exporting|rewriting|pushing)/.test(text));
}

async function packContext(
  workDirectory: string,
  { dockerfile, files }: { dockerfile: string; files: Readonly<Record<string, string>> },
): Promise<string> {
  const source = join(workDirectory, 'source');
  await mkdir(source);
  await writeFile(join(source, 'Dockerfile'), dockerfile);
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(source, name)), { recursive: true });
    await writeFile(join(source, name), content);
  }
  const archive = join(workDirectory, 'context.tar');
  await run('tar', ['-cf', archive, '-C', source, '.']);
  return archive;
}
