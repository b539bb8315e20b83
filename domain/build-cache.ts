import type { Architecture } from './build.ts';
import type { RunSource } from './source.ts';

/** The reserved namespace of remote caches: in each managed instance's registry, in no list. */
export const buildCacheNamespace = 'slipway-cache';

/** The caches of a repository are a repository of their own (docs/product.md, section 7, "Caches"). */
export function buildCacheRepository(repositoryId: string): string {
  return `${buildCacheNamespace}/${repositoryId}`;
}

/** A branch's name may hold what a tag may not: its hash stands for it. `branchHash` is the SHA-256 in hexadecimal. */
export function buildCacheTag(branchHash: string, platform: Architecture): string {
  return `${branchHash.slice(0, 16)}-${platform.replaceAll('/', '-')}`;
}

/**
 * Which branches' caches a build reads, in order, and which one it writes. A build of a tag reads the default branch's and writes
 * none: a tag is built once.
 */
export function buildCacheBranches(
  { ref, refType }: Pick<RunSource, 'ref' | 'refType'>,
  defaultBranch: string | null,
): { readonly reads: readonly string[]; readonly writes: string | null } {
  const own = refType === 'branch' ? [ref] : [];
  const fallback = defaultBranch === null ? [] : [defaultBranch];
  return { reads: [...new Set([...own, ...fallback])], writes: own[0] ?? null };
}
