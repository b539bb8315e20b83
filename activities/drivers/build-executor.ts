import type { Architecture } from '../../domain/build.ts';
import type { Buildkit } from './buildkit.ts';

/** What the steps of one build may use together, whatever number of architectures it has. */
export interface BuildLimits {
  readonly memoryBytes: number;
  /** Whole processors or parts of them. */
  readonly cpus: number;
  readonly processes: number;
}

export interface LeaseRequest {
  /** Builds of one namespace may share caches; those of two never share anything. */
  readonly namespaceId: string;
  /** All architectures of a build ask with the same id and get the same daemon. */
  readonly buildId: string;
  /** The region that builds: its hosted base images answer for docker.io. */
  readonly region: string;
  readonly limits: BuildLimits;
  readonly signal: AbortSignal;
}

/** A build daemon for one build. */
export interface BuildLease {
  /** A step that ran into a limit fails by the limit's own code, as far as the daemon's host can tell. */
  readonly buildkit: Pick<Buildkit, 'imageBuild'>;
  /** Gives it back; to be called once, however the build ended. */
  release(): Promise<void>;
}

/** Where builds run, and what keeps them apart (docs/isolation.md; docs/product.md, section 7). */
export interface BuildExecutor {
  /** Waits for a daemon that no other build uses, for as long as `signal` allows. */
  lease(request: LeaseRequest): Promise<BuildLease>;
  /** What it can build for. */
  platforms(options: { readonly signal: AbortSignal }): Promise<readonly Architecture[]>;
  /** Ends what it started. */
  close(): Promise<void>;
}

/**
 * Level D: one daemon for everybody, somewhere else. Builds share its cache store, its network and its limits, so it is for
 * tenants who trust each other.
 */
export function createSharedExecutor(buildkit: Buildkit): BuildExecutor {
  return {
    // oxlint-disable-next-line require-await -- others have to wait for a daemon
    lease: async () => ({
      buildkit,
      release: () => Promise.resolve(),
    }),
    platforms: (options) => buildkit.platforms(options),
    close: () => Promise.resolve(),
  };
}
