import { NativeSelect } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import type { InboxFilter } from '../../../domain/source.ts';
import { listSourceEvents } from '../api-source.ts';
import type { SourceEvent } from '../api-source.ts';
import { messages } from '../messages/index.ts';
import type { SourceEventFilter } from '../path-builder.ts';
import { EmptyPanel, ErrorPanel, LoadingPanel } from '../ui/panels.tsx';
import { wordProblem } from '../words.ts';
import { RepositoryFrame } from './repository-frame.tsx';
import { SourceEventRow } from './source-event-row.tsx';

const route = getRouteApi('/shell/repositories/$repositoryId/source-events');

/** Deliveries are told by no stream: the first page is asked for again this often. */
const refetchMs = 10_000;

/** What the source host told of, and what became of each delivery (docs/product.md, section 5, "Outcomes"). */
export function SourceEventListPage(): ReactNode {
  const { repositoryId } = route.useParams();
  const filter = route.useSearch();
  return (
    <RepositoryFrame id={repositoryId}>{() => <Events repository={repositoryId} filter={filter} />}</RepositoryFrame>
  );
}

function Events({ repository, filter }: { repository: string; filter: SourceEventFilter }): ReactNode {
  const words = messages.source.events;
  const events = useQuery({
    queryKey: ['source-events', repository, filter],
    queryFn: ({ signal }) => listSourceEvents(repository, filter, signal),
    refetchInterval: filter.cursor === undefined ? refetchMs : false,
  });
  const { data } = events;
  return (
    <section className="panel" aria-labelledby="source-events">
      <div className="panel-head">
        <h2 id="source-events">{words.title}</h2>
        <OutcomeChoice repository={repository} outcome={filter.outcome} />
      </div>
      <p className="muted">{words.hint}</p>
      {events.isPending && <LoadingPanel rows={6} label={words.title} />}
      {events.isError && <ErrorPanel problem={wordProblem(events.error)} onRetry={() => void events.refetch()} />}
      {data?.items.length === 0 && <NoEvents isFiltered={filter.outcome !== undefined} />}
      {data !== undefined && data.items.length > 0 && <EventTable repository={repository} events={data.items} />}
      <Pager repository={repository} filter={filter} nextCursor={data?.nextCursor ?? null} />
    </section>
  );
}

const isOutcome = (name: string): name is InboxFilter => Object.hasOwn(messages.source.outcome, name);

function OutcomeChoice({ repository, outcome }: { repository: string; outcome: InboxFilter | undefined }): ReactNode {
  const words = messages.source.events;
  const navigate = useNavigate();
  const choose = (value: string): void => {
    void navigate({
      to: '/repositories/$repositoryId/source-events',
      params: { repositoryId: repository },
      search: isOutcome(value) ? { outcome: value } : {},
    });
  };
  return (
    <NativeSelect
      aria-label={words.filter}
      data={[
        { value: '', label: words.any },
        ...Object.entries(messages.source.outcome).map(([value, label]) => ({ value, label })),
      ]}
      value={outcome ?? ''}
      onChange={({ target }) => choose(target.value)}
    />
  );
}

function NoEvents({ isFiltered }: { isFiltered: boolean }): ReactNode {
  const words = messages.source.events;
  return isFiltered ? (
    <EmptyPanel title={words.noMatchTitle}>{words.noMatch}</EmptyPanel>
  ) : (
    <EmptyPanel title={words.emptyTitle}>{words.empty}</EmptyPanel>
  );
}

function EventTable({ repository, events }: { repository: string; events: readonly SourceEvent[] }): ReactNode {
  return (
    <table className="plain-table">
      <thead>
        <tr>
          {Object.values(messages.source.events.columns).map((column) => (
            <th key={column} scope="col">
              {column}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {events.map((event) => (
          <SourceEventRow key={event.id} repository={repository} event={event} />
        ))}
      </tbody>
    </table>
  );
}

function Pager({
  repository,
  filter,
  nextCursor,
}: {
  repository: string;
  filter: SourceEventFilter;
  nextCursor: string | null;
}): ReactNode {
  const words = messages.source.events;
  if (filter.cursor === undefined && nextCursor === null) return null;
  const page = { to: '/repositories/$repositoryId/source-events', params: { repositoryId: repository } } as const;
  return (
    <nav className="pager" aria-label={words.title}>
      {filter.cursor !== undefined && (
        <Link {...page} search={{ ...filter, cursor: '' }}>
          {words.newest}
        </Link>
      )}
      {nextCursor !== null && (
        <Link {...page} search={{ ...filter, cursor: nextCursor }}>
          {words.older}
        </Link>
      )}
    </nav>
  );
}
