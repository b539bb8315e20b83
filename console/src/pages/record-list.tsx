import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';
import type { ReactNode } from 'react';
import { listRuns } from '../api.ts';
import type { Run } from '../api-types.ts';
import { usePollMs } from '../live-context.tsx';
import { messages } from '../messages/index.ts';
import { EmptyPanel, ErrorPanel, LoadingPanel, PageTitle } from '../ui/panels.tsx';
import { ArrowUpIcon } from '../ui/icons.tsx';
import { wordProblem } from '../words.ts';
import { RecordFiltersForm } from './record-filters.tsx';
import { RecordRow } from './record-row.tsx';

const route = getRouteApi('/shell/records');

/** Every run, newest first; filters and page stand in the address. */
export function RecordListPage(): ReactNode {
  const filters = route.useSearch();
  const pollMs = usePollMs();
  const runs = useQuery({
    queryKey: ['runs', filters],
    queryFn: ({ signal }) => listRuns(filters, signal),
    refetchInterval: pollMs,
  });
  // Another filter or page is another list: nothing of what was typed or counted is carried over.
  const shownKey = JSON.stringify(filters);
  const isFiltered = Object.keys(filters).length > 0;
  return (
    <div className="page">
      <PageTitle title={messages.list.title} />
      <RecordFiltersForm key={`filters ${shownKey}`} filters={filters} />
      {runs.isPending && <LoadingPanel rows={8} label={messages.list.title} />}
      {runs.isError && <ErrorPanel problem={wordProblem(runs.error)} onRetry={() => void runs.refetch()} />}
      {runs.data?.items.length === 0 && <NoRuns isFiltered={isFiltered} />}
      {runs.data !== undefined && runs.data.items.length > 0 && (
        <RunTable key={`runs ${shownKey}`} runs={runs.data.items} />
      )}
      <nav className="pager" aria-label={messages.list.title}>
        {filters.cursor !== undefined && (
          <Link to="/records" search={{ ...filters, cursor: '' }}>
            {messages.list.newest}
          </Link>
        )}
        {typeof runs.data?.nextCursor === 'string' && (
          <Link to="/records" search={{ ...filters, cursor: runs.data.nextCursor }}>
            {messages.list.older}
          </Link>
        )}
      </nav>
    </div>
  );
}

function NoRuns({ isFiltered }: { isFiltered: boolean }): ReactNode {
  if (isFiltered) return <EmptyPanel title={messages.list.noMatchTitle}>{messages.list.noMatch}</EmptyPanel>;
  return (
    <EmptyPanel title={messages.list.emptyTitle}>
      <p>{messages.list.empty}</p>
      <pre tabIndex={0}>{messages.list.emptyCommand}</pre>
    </EmptyPanel>
  );
}

function RunTable({ runs }: { runs: readonly Run[] }): ReactNode {
  const { shown, hidden, show } = useHeldBack(runs);
  const { columns } = messages.list;
  return (
    <>
      <div className="new-runs" role="status">
        {hidden > 0 && (
          <button type="button" className="pill" onClick={show}>
            <ArrowUpIcon /> {messages.list.newRuns(hidden)}
          </button>
        )}
      </div>
      <table className="runs">
        <thead>
          <tr>
            <th scope="col">{columns.state}</th>
            <th scope="col">{columns.record}</th>
            <th scope="col">{columns.source}</th>
            <th scope="col">{columns.steps}</th>
            <th scope="col">{columns.cause}</th>
            <th scope="col">{columns.started}</th>
            <th scope="col" className="number">
              {columns.duration}
            </th>
          </tr>
        </thead>
        <tbody>
          {shown.map((run) => (
            <RecordRow key={run.id} run={run} />
          ))}
        </tbody>
      </table>
    </>
  );
}

/** New rows push the list down only while the reader is at its top; else they are counted and wait. */
function useHeldBack(runs: readonly Run[]): { shown: readonly Run[]; hidden: number; show: () => void } {
  const [newest, setNewest] = useState(runs[0]?.id);
  const isAtTop = useRef(true);
  useEffect(() => {
    const look = (): void => {
      isAtTop.current = window.scrollY < 80;
    };
    look();
    window.addEventListener('scroll', look, { passive: true });
    return () => window.removeEventListener('scroll', look);
  }, []);
  useEffect(() => {
    if (isAtTop.current) setNewest(runs[0]?.id);
  }, [runs]);
  const hidden = Math.max(
    0,
    runs.findIndex(({ id }) => id === newest),
  );
  const show = (): void => {
    setNewest(runs[0]?.id);
    window.scrollTo({ top: 0 });
  };
  return { shown: runs.slice(hidden), hidden, show };
}
