import '../theme/record.css';
import '../theme/repository.css';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { fetchRepository } from '../api-build.ts';
import type { Repository } from '../api-build.ts';
import { messages } from '../messages/index.ts';
import { ErrorPanel, LoadingPanel, PageTitle } from '../ui/panels.tsx';
import { wordProblem } from '../words.ts';

/** What all pages of one repository share: its name, the way back, its other pages. Build only if bound (docs/product.md, R-04). */
export function RepositoryFrame({
  id,
  children,
}: {
  id: string;
  children: (repository: Repository) => ReactNode;
}): ReactNode {
  const words = messages.repository;
  const found = useQuery({ queryKey: ['repository', id], queryFn: ({ signal }) => fetchRepository(id, signal) });
  if (found.data === undefined) {
    return (
      <div className="page">
        <PageTitle title={words.title} />
        {found.isError ? (
          <ErrorPanel problem={wordProblem(found.error)} onRetry={() => void found.refetch()} />
        ) : (
          <LoadingPanel rows={6} label={words.title} />
        )}
      </div>
    );
  }
  const path = `${found.data.namespace}/${found.data.name}`;
  return (
    <div className="page">
      <nav className="crumbs" aria-label={words.title}>
        <Link to="/repositories">{words.title}</Link>
      </nav>
      <PageTitle title={path} />
      <nav className="tabs" aria-label={words.pages}>
        <Link
          to="/repositories/$repositoryId"
          params={{ repositoryId: id }}
          activeOptions={{ exact: true }}
          activeProps={{ className: 'active' }}
        >
          {words.details}
        </Link>
        {found.data.codeSource !== null && (
          <>
            <Link
              to="/repositories/$repositoryId/build"
              params={{ repositoryId: id }}
              activeProps={{ className: 'active' }}
            >
              {words.build}
            </Link>
            <Link
              to="/repositories/$repositoryId/source-events"
              params={{ repositoryId: id }}
              activeProps={{ className: 'active' }}
            >
              {words.sourceEvents}
            </Link>
          </>
        )}
        <Link to="/records" search={{ repository: path }}>
          {words.records}
        </Link>
      </nav>
      {children(found.data)}
    </div>
  );
}
