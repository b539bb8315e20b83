import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import type { InboxFilter, InboxOutcome } from '../../../domain/source.ts';
import type { NamedRun, SourceEvent, SourceEventChange } from '../api-source.ts';
import { messages } from '../messages/index.ts';
import { shortCommit } from '../ui/format.ts';
import { BranchIcon, TagIcon } from '../ui/icons.tsx';
import { StateBadge } from '../ui/state-badge.tsx';
import type { Look } from '../ui/state.ts';
import { Ago } from '../ui/time.tsx';

const words = messages.source.events;

const looks: Record<InboxFilter, Look> = {
  pending: { icon: 'waiting', tone: 'waiting', word: messages.source.outcome.pending },
  runs: { icon: 'success', tone: 'success', word: messages.source.outcome.runs },
  ignored: { icon: 'skipped', tone: 'quiet', word: messages.source.outcome.ignored },
  duplicate: { icon: 'skipped', tone: 'quiet', word: messages.source.outcome.duplicate },
  superseded: { icon: 'canceled', tone: 'quiet', word: messages.source.outcome.superseded },
  invalid: { icon: 'failed', tone: 'failed', word: messages.source.outcome.invalid },
};

/** One delivery: a line for each ref it told of, or one for itself where it told of none. */
export function SourceEventRow({ repository, event }: { repository: string; event: SourceEvent }): ReactNode {
  const { columns } = words;
  const lines: readonly (SourceEventChange | null)[] = event.changes.length === 0 ? [null] : event.changes;
  return lines.map((change, index) => {
    const outcome = change ?? event.outcome;
    return (
      <tr key={change === null ? 'whole' : `${change.refType}/${change.ref}`}>
        <td data-label={columns.received} className="nowrap">
          {index === 0 && <Ago at={event.receivedAt} />}
        </td>
        <td data-label={columns.event}>{index === 0 && <EventName event={event} />}</td>
        <td data-label={columns.ref}>{change !== null && <ChangedRef change={change} />}</td>
        <td data-label={columns.outcome}>
          <StateBadge look={looks[outcome?.kind ?? 'pending']} />
        </td>
        <td data-label={columns.means}>
          {outcome === null ? (
            <span className="muted">{words.waits}</span>
          ) : (
            <Meaning repository={repository} outcome={outcome} runs={event.runs} />
          )}
        </td>
      </tr>
    );
  });
}

function EventName({ event }: { event: SourceEvent }): ReactNode {
  if (event.event === 'catch_up') return words.catchUp;
  return (
    <>
      <span className="break">{event.event}</span>
      <p className="muted small mono clip event-id" title={event.deliveryId}>
        {event.deliveryId}
      </p>
    </>
  );
}

function ChangedRef({ change: { ref, refType, commit } }: { change: SourceEventChange }): ReactNode {
  return (
    <span className="with-icon">
      {refType === 'tag' ? <TagIcon /> : <BranchIcon />}
      <bdi className="mono break">{ref}</bdi>
      <span className="mono muted">{commit === null ? words.deleted : shortCommit(commit)}</span>
    </span>
  );
}

interface MeaningProps {
  readonly repository: string;
  readonly outcome: InboxOutcome;
  readonly runs: readonly NamedRun[];
}

/** What it started, or why nothing. */
function Meaning({ repository, outcome, runs }: MeaningProps): ReactNode {
  switch (outcome.kind) {
    case 'runs':
      return <RunLinks repository={repository} ids={outcome.runs} runs={runs} />;
    case 'duplicate':
      return (
        <>
          {words.duplicateOf} <RunLinks repository={repository} ids={[outcome.of]} runs={runs} />
        </>
      );
    case 'superseded':
      return <span className="break">{words.supersededBy(shortCommit(outcome.by))}</span>;
    case 'ignored':
      return messages.source.ignored[outcome.reason];
    case 'invalid':
      return <span className="break">{outcome.reason}</span>;
  }
}

function RunLinks({
  repository,
  ids,
  runs,
}: {
  repository: string;
  ids: readonly string[];
  runs: readonly NamedRun[];
}): ReactNode {
  return (
    <span className="run-links">
      {ids.map((id) => (
        <RunLink key={id} repository={repository} run={runs.find((run) => run.id === id)} />
      ))}
    </span>
  );
}

/** To its Record; a build outside a chain has none, and leads to its log. */
function RunLink({ repository, run }: { repository: string; run: NamedRun | undefined }): ReactNode {
  if (run === undefined) return <span className="muted">{words.gone}</span>;
  if (run.chain !== null) {
    return (
      <Link to="/records/$runId" params={{ runId: run.id }}>
        {run.chain} #{run.number}
      </Link>
    );
  }
  return (
    <Link
      to="/repositories/$repositoryId/build"
      params={{ repositoryId: repository }}
      search={run.build === null ? {} : { build: run.build }}
    >
      {words.build}
    </Link>
  );
}
