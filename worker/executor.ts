import type { Logger } from 'pino';
import type { BuildRegistry } from '../activities/drivers/build-daemon-config.ts';
import { createSharedExecutor, type BuildExecutor } from '../activities/drivers/build-executor.ts';
import { createNamespaceExecutor } from '../activities/drivers/build-executor-namespace.ts';
import { createBuildkit } from '../activities/drivers/buildkit.ts';
import { createEgressProxyServer, createEgressRelay } from '../activities/drivers/egress-proxy.ts';
import { createEgressTlsGate } from '../activities/drivers/egress-tls.ts';
import type { Database } from '../db/database.ts';
import { listRegistries } from '../db/repositories/instance.ts';
import { buildEgressPolicyOf, ConfigInvalid, type WorkerConfig } from '../domain/config.ts';
import type { EgressPolicy } from '../domain/egress.ts';
import { limits } from '../domain/limits.ts';

export interface ExecutorOptions {
  readonly config: WorkerConfig;
  readonly db: Database;
  /** Where Slipway's own calls may go, the registries of its instances among them. */
  readonly policy: EgressPolicy;
  readonly clock: () => Date;
  readonly log: Logger;
}

/** What builds run in, as the configuration says (docs/isolation.md). A worker without the role `build` never uses it. */
export async function createExecutor(options: ExecutorOptions): Promise<BuildExecutor> {
  const { config } = options;
  const buildctl = config.SLIPWAY_TOOL_BUILDCTL ?? 'buildctl';
  const isBuilding = config.SLIPWAY_WORKER_ROLES.includes('build');
  if (isBuilding && config.SLIPWAY_BUILD_ISOLATION === 'namespace') return namespaceExecutor(options, buildctl);
  return createSharedExecutor(createBuildkit({ buildctl, address: config.SLIPWAY_BUILDKIT_ADDRESS }));
}

async function namespaceExecutor(options: ExecutorOptions, buildctl: string): Promise<BuildExecutor> {
  if (process.getuid?.() !== 0) {
    throw new ConfigInvalid([
      'SLIPWAY_BUILD_ISOLATION: "namespace" makes networks and mounts, which only root may; run the worker as root, or take "shared" with a daemon at SLIPWAY_BUILDKIT_ADDRESS',
    ]);
  }
  const { config, db, policy, clock, log } = options;
  const buildPolicy = buildEgressPolicyOf(config);
  let ownHosts: ReadonlySet<string> = new Set();
  const isOwn = (host: string): boolean => ownHosts.has(host);
  const stepProxy = createEgressProxyServer({ policy: buildPolicy });
  const daemonProxy = createEgressProxyServer({ policy: buildPolicy, own: { isOwn, policy } });
  const executor = await createNamespaceExecutor({
    tools: {
      buildkitd: config.SLIPWAY_TOOL_BUILDKITD ?? 'buildkitd',
      buildctl,
      cniPlugins: config.SLIPWAY_CNI_DIR,
      stepProxy: (socket) => stepProxy.take(socket),
      stepTlsGate: createEgressTlsGate({ policy: buildPolicy }),
      daemonProxy: (socket) => daemonProxy.take(socket),
      relay: createEgressRelay({ policy }),
    },
    folder: config.SLIPWAY_BUILD_DIR,
    registries: async () => {
      const registries = (await listRegistries(db)).map(toBuildRegistry);
      ownHosts = new Set(registries.map(({ host }) => host));
      return registries;
    },
    maxBuilds: config.SLIPWAY_BUILD_SLOTS,
    idleMs: config.SLIPWAY_BUILD_IDLE_MS,
    minFreeBytes: limits.buildDiskFreeBytes,
    clock,
    onEvent: (text, details) => log.warn(details, text),
  });
  return {
    ...executor,
    close: async () => {
      await executor.close();
      stepProxy.close();
      daemonProxy.close();
    },
  };
}

function toBuildRegistry(instance: Awaited<ReturnType<typeof listRegistries>>[number]): BuildRegistry {
  const { host, protocol } = new URL(instance.registry_url);
  const isManaged = instance.kind === 'managed';
  return { host, isInsecure: protocol === 'http:', region: instance.region, hasBaseImages: isManaged };
}
