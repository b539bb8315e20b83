import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { listRepositories } from '../api-build.ts';
import type { Repository } from '../api-build.ts';
import { messages } from '../messages/index.ts';
import { EmptyPanel, ErrorPanel, LoadingPanel, PageTitle } from '../ui/panels.tsx';
import { wordProblem } from '../words.ts';

const route = getRouteApi('/shell/repositories');

/** Every repository, by name. */
export function RepositoryListPage(): ReactNode {
  const { cursor } = route.useSearch();
  const words = messages.repository;
  const repositories = useQuery({
    queryKey: ['repositories', cursor],
    queryFn: ({ signal }) => listRepositories(cursor, signal),
  });
  const { data } = repositories;
  return (
    <div className="page">
      <PageTitle title={words.title} />
      {repositories.isPending && <LoadingPanel rows={6} label={words.title} />}
      {repositories.isError && (
        <ErrorPanel problem={wordProblem(repositories.error)} onRetry={() => void repositories.refetch()} />
      )}
      {data?.items.length === 0 && (
        <EmptyPanel title={words.emptyTitle}>
          <p>{words.empty}</p>
          <pre tabIndex={0}>{words.emptyCommand}</pre>
        </EmptyPanel>
      )}
      {data !== undefined && data.items.length > 0 && (
        <table className="runs">
          <thead>
            <tr>
              <th scope="col">{words.columns.name}</th>
              <th scope="col">{words.columns.instance}</th>
              <th scope="col">{words.columns.type}</th>
              <th scope="col">{words.columns.source}</th>
              <th scope="col">{words.columns.autoBuild}</th>
            </tr>
          </thead>
          <tbody>
            {data.items.map((repository) => (
              <RepositoryRow key={repository.id} repository={repository} />
            ))}
          </tbody>
        </table>
      )}
      {typeof data?.nextCursor === 'string' && (
        <nav className="pager" aria-label={words.title}>
          <Link to="/repositories" search={{ cursor: data.nextCursor }}>
            {words.older}
          </Link>
        </nav>
      )}
    </div>
  );
}

function RepositoryRow({ repository }: { repository: Repository }): ReactNode {
  const words = messages.repository;
  const { columns } = words;
  const source = repository.codeSource;
  return (
    <tr className="run-row tone-quiet">
      <td data-label={columns.name}>
        <Link to="/repositories/$repositoryId" params={{ repositoryId: repository.id }} className="row-link">
          {repository.namespace}/{repository.name}
        </Link>
        <p className="muted small">{repository.summary}</p>
      </td>
      <td data-label={columns.instance}>{repository.instance}</td>
      <td data-label={columns.type}>{words.types[repository.type]}</td>
      <td data-label={columns.source}>
        {source === null ? (
          <span className="muted">{words.local}</span>
        ) : (
          <bdi className="mono">
            {source.codeNamespace}/{source.codeRepository}
          </bdi>
        )}
      </td>
      <td data-label={columns.autoBuild}>
        {source === null ? '' : repository.buildSettings.autoBuild ? words.on : words.off}
      </td>
    </tr>
  );
}
