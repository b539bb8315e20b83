import type { Architecture } from '../../domain/build.ts';
import { get, send } from './api.ts';
import type { Page } from './api-types.ts';
import { query } from './path-builder.ts';

/** The remote cache of one branch and architecture (docs/product.md, section 7, "Caches"). */
export interface BuildCache {
  readonly branch: string;
  readonly platform: Architecture;
  readonly sizeBytes: number;
  readonly lastUsedAt: string;
  readonly steps: number;
  readonly cachedSteps: number;
}

export function listBuildCaches(repository: string, cursor: string, signal?: AbortSignal): Promise<Page<BuildCache>> {
  return get(`/v1/repositories/${repository}/build-cache${query({ cursor })}`, signal);
}

/** Deletes one cache, or all of a repository. */
export async function cleanBuildCache(
  repository: string,
  which: Pick<BuildCache, 'branch' | 'platform'> | null,
): Promise<void> {
  await send(
    `/v1/repositories/${repository}/build-cache${query({ branch: which?.branch, platform: which?.platform })}`,
    { method: 'DELETE' },
  );
}
