import '../theme/log.css';
import { Button } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { lazy, Suspense } from 'react';
import type { ReactNode } from 'react';
import { rebuild } from '../api.ts';
import { cancelBuild, listBuilds } from '../api-build.ts';
import type { Build, BuildStatus, Repository } from '../api-build.ts';
import { messages } from '../messages/index.ts';
import { paths } from '../path-builder.ts';
import { firstLine, shortCommit } from '../ui/format.ts';
import { ErrorPanel, LoadingPanel } from '../ui/panels.tsx';
import { StateBadge } from '../ui/state-badge.tsx';
import { resultLooks, statusLooks } from '../ui/state.ts';
import type { Look } from '../ui/state.ts';
import { Ago, Elapsed } from '../ui/time.tsx';
import { wordProblem, wordReason } from '../words.ts';

const BuildLog = lazy(() => import('./build-log.tsx').then((module) => ({ default: module.BuildLog })));

const looks: Record<BuildStatus, Look> = {
  pending: { ...statusLooks.queued, word: messages.repository.builds.status.pending },
  building: { ...statusLooks.running, word: messages.repository.builds.status.building },
  success: resultLooks.success,
  failed: resultLooks.failed,
  canceled: resultLooks.canceled,
};

/** Asked again this often while a build goes on: builds outside chains are told by no stream. */
const refetchMs = 3_000;

/** The builds of a repository, newest first; one can show its log (docs/product.md, section 7). */
export function BuildList({ repository, open }: { repository: Repository; open: string | null }): ReactNode {
  const words = messages.repository.builds;
  const builds = useQuery({
    queryKey: ['builds', repository.id],
    queryFn: ({ signal }) => listBuilds(repository.id, signal),
    refetchInterval: ({ state }) =>
      state.data?.items.some(({ endedAt }) => endedAt === null) === true ? refetchMs : false,
  });
  const items = builds.data?.items ?? [];
  const opened = items.find(({ id }) => id === open);
  return (
    <section className="panel" aria-labelledby="build-list">
      <h2 id="build-list">{words.title}</h2>
      {builds.isPending && <LoadingPanel rows={3} label={words.title} />}
      {builds.isError && <ErrorPanel problem={wordProblem(builds.error)} onRetry={() => void builds.refetch()} />}
      {builds.data !== undefined && items.length === 0 && <p className="muted">{words.empty}</p>}
      {opened !== undefined && <OpenLog repository={repository.id} build={opened} />}
      {items.length > 0 && (
        <table className="plain-table">
          <thead>
            <tr>
              <th scope="col">{words.columns.state}</th>
              <th scope="col">{words.columns.commit}</th>
              <th scope="col">{words.columns.tags}</th>
              <th scope="col">{words.columns.started}</th>
              <th scope="col" className="number">
                {words.columns.duration}
              </th>
              <th scope="col">{words.columns.acts}</th>
            </tr>
          </thead>
          <tbody>
            {items.map((build) => (
              <BuildRow key={build.id} repository={repository.id} build={build} />
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function OpenLog({ repository, build }: { repository: string; build: Build }): ReactNode {
  const words = messages.repository.builds;
  return (
    <div className="open-log">
      <div className="panel-head">
        <h3>{words.logOf(shortCommit(build.commit))}</h3>
        <Link to="/repositories/$repositoryId/build" params={{ repositoryId: repository }} resetScroll={false}>
          {words.close}
        </Link>
      </div>
      <Suspense fallback={<LoadingPanel rows={5} label={messages.log.loading} />}>
        <BuildLog
          key={build.id}
          build={build.id}
          platforms={build.architectures.map(({ platform }) => platform)}
          address={paths.repositoryBuild(repository, build.id)}
        />
      </Suspense>
    </div>
  );
}

function BuildRow({ repository, build }: { repository: string; build: Build }): ReactNode {
  const words = messages.repository.builds;
  const { columns } = words;
  return (
    <tr className={`tone-${looks[build.status].tone}`}>
      <td data-label={columns.state}>
        <StateBadge look={looks[build.status]} />{' '}
        {build.partial && <span className="badge is-partial">{words.partial}</span>}
        {build.queuePlace !== null && (
          <p className="muted small">{messages.record.place(build.queuePlace.place, build.queuePlace.of)}</p>
        )}
        <p className="muted small">{wordReason(build.reason)}</p>
      </td>
      <td data-label={columns.commit} className="build-commit">
        <bdi className="mono">{build.ref}</bdi>{' '}
        <span className="mono muted" title={build.commit}>
          {shortCommit(build.commit)}
        </span>
        {build.message !== null && <p className="muted small clip">{firstLine(build.message)}</p>}
      </td>
      <td data-label={columns.tags}>
        <span className="tags">
          {build.imageTags.map((tag) => (
            <code key={tag} className="tag">
              {tag}
            </code>
          ))}
        </span>
      </td>
      <td data-label={columns.started}>
        <Ago at={build.queuedAt} />
      </td>
      <td data-label={columns.duration} className="number">
        {build.startedAt !== null && <Elapsed from={build.startedAt} to={build.endedAt} />}
      </td>
      <td data-label={columns.acts}>
        <BuildActions repository={repository} build={build} />
      </td>
    </tr>
  );
}

function BuildActions({ repository, build }: { repository: string; build: Build }): ReactNode {
  const words = messages.repository.builds;
  const commit = shortCommit(build.commit);
  const queries = useQueryClient();
  const onSuccess = (): Promise<void> => queries.invalidateQueries({ queryKey: ['builds', repository] });
  const cancel = useMutation({ mutationFn: () => cancelBuild(build.id), onSuccess });
  const again = useMutation({
    mutationFn: async () => {
      await rebuild(build.id, 'all');
    },
    onSuccess,
  });
  const problem = cancel.error ?? again.error;
  return (
    <>
      <span className="row-actions">
        <Link
          to="/repositories/$repositoryId/build"
          params={{ repositoryId: repository }}
          search={{ build: build.id }}
          resetScroll={false}
          aria-label={words.logOf(commit)}
        >
          {words.log}
        </Link>
        {build.run !== null && (
          <Link to="/records/$runId" params={{ runId: build.run }}>
            {words.record}
          </Link>
        )}
        {build.endedAt === null ? (
          <Button
            variant="default"
            aria-label={words.cancelOf(commit)}
            loading={cancel.isPending}
            onClick={() => cancel.mutate()}
          >
            {words.cancel}
          </Button>
        ) : (
          <Button
            variant="default"
            aria-label={words.rebuildOf(commit)}
            loading={again.isPending}
            onClick={() => again.mutate()}
          >
            {words.rebuild}
          </Button>
        )}
      </span>
      {problem !== null && <ErrorPanel problem={wordProblem(problem, messages.error.actionTitle)} />}
    </>
  );
}
