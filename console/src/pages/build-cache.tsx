import { Button } from '@mantine/core';
import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { cleanBuildCache, listBuildCaches } from '../api-build-cache.ts';
import type { BuildCache } from '../api-build-cache.ts';
import { messages } from '../messages/index.ts';
import { formatBytes } from '../ui/format.ts';
import { ErrorPanel, LoadingPanel } from '../ui/panels.tsx';
import { Ago } from '../ui/time.tsx';
import { wordProblem } from '../words.ts';

/** The remote caches of a repository's builds: how large, how useful, and gone when asked to (docs/product.md, section 7). */
export function BuildCaches({ repository }: { repository: string }): ReactNode {
  const words = messages.buildCache;
  const queries = useQueryClient();
  const queryKey = ['build-cache', repository];
  const pages = useInfiniteQuery({
    queryKey,
    queryFn: ({ pageParam, signal }) => listBuildCaches(repository, pageParam, signal),
    initialPageParam: '',
    getNextPageParam: ({ nextCursor }) => nextCursor,
  });
  const clean = useMutation({
    mutationFn: (which: BuildCache | null) => cleanBuildCache(repository, which),
    onSettled: () => queries.invalidateQueries({ queryKey }),
  });
  const caches = pages.data?.pages.flatMap(({ items }) => items) ?? [];
  return (
    <section className="panel" aria-labelledby="build-cache">
      <div className="panel-head">
        <h2 id="build-cache">{words.title}</h2>
        {caches.length > 1 && (
          <Button size="xs" variant="default" disabled={clean.isPending} onClick={() => clean.mutate(null)}>
            {words.cleanAll}
          </Button>
        )}
      </div>
      <p className="muted">{words.hint}</p>
      {clean.isError && <ErrorPanel problem={wordProblem(clean.error, messages.error.actionTitle)} />}
      {pages.isPending && <LoadingPanel rows={2} label={words.title} />}
      {pages.isError && <ErrorPanel problem={wordProblem(pages.error)} onRetry={() => void pages.refetch()} />}
      {pages.data !== undefined && caches.length === 0 && <p className="muted">{words.empty}</p>}
      {caches.length > 0 && (
        <CacheTable caches={caches} isBusy={clean.isPending} onClean={(cache) => clean.mutate(cache)} />
      )}
      {pages.hasNextPage && (
        <Button variant="default" loading={pages.isFetchingNextPage} onClick={() => void pages.fetchNextPage()}>
          {words.more}
        </Button>
      )}
    </section>
  );
}

interface CacheTableProps {
  readonly caches: readonly BuildCache[];
  readonly isBusy: boolean;
  readonly onClean: (cache: BuildCache) => void;
}

function CacheTable({ caches, isBusy, onClean }: CacheTableProps): ReactNode {
  const words = messages.buildCache;
  return (
    <table className="plain-table">
      <thead>
        <tr>
          {Object.values(words.columns).map((column) => (
            <th key={column} scope="col">
              {column}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {caches.map((cache) => (
          <tr key={`${cache.branch} ${cache.platform}`}>
            <td>{cache.branch}</td>
            <td>{cache.platform}</td>
            <td>{formatBytes(cache.sizeBytes)}</td>
            <td>{words.hitRate(cache.cachedSteps, cache.steps)}</td>
            <td>
              <Ago at={cache.lastUsedAt} />
            </td>
            <td>
              <Button
                size="xs"
                variant="default"
                aria-label={words.cleanOf(cache.branch, cache.platform)}
                disabled={isBusy}
                onClick={() => onClean(cache)}
              >
                {words.clean}
              </Button>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
