import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import type { Run } from '../api-types.ts';
import { messages } from '../messages/index.ts';
import { firstLine, shortCommit } from '../ui/format.ts';
import { BranchIcon, TagIcon } from '../ui/icons.tsx';
import { StateBadge, StateMark } from '../ui/state-badge.tsx';
import { runLook, stepLooks } from '../ui/state.ts';
import { Ago, Elapsed } from '../ui/time.tsx';
import { wordReason } from '../words.ts';

/** One run of the list: the whole row leads to its Record, by one link that covers it. */
export function RecordRow({ run }: { run: Run }): ReactNode {
  const look = runLook(run);
  const { columns } = messages.list;
  return (
    <tr className={`run-row tone-${look.tone}`}>
      <td data-label={columns.state}>
        <StateBadge look={look} />
        {run.queue !== null && (
          <p className="muted small nowrap">{messages.record.place(run.queue.place, run.queue.of)}</p>
        )}
      </td>
      <td data-label={columns.record} className="run-name">
        <Link to="/records/$runId" params={{ runId: run.id }} className="row-link">
          {run.repository.namespace}/{run.repository.name} <span className="muted">·</span>{' '}
          {run.chain?.name ?? messages.list.noChain} <span className="muted">·</span> #{run.number}
        </Link>
        <p className={`run-reason ${look.tone === 'failed' || look.tone === 'denied' ? `tone-${look.tone}` : 'muted'}`}>
          {wordReason(run.reason)}
        </p>
      </td>
      <td data-label={columns.source} className="run-source">
        <RunSourceLine run={run} />
      </td>
      <td data-label={columns.steps}>
        <span className="marks">
          {run.steps.map((step) => (
            <StateMark key={step.name} look={stepLooks[step.state]} label={messages.step[step.name]} />
          ))}
        </span>
      </td>
      <td data-label={columns.cause}>
        {messages.cause[run.cause]}
        {run.actor !== null && <p className="muted small clip">{run.actor}</p>}
      </td>
      <td data-label={columns.started} className="nowrap">
        <Ago at={run.startedAt ?? run.queuedAt} />
      </td>
      <td data-label={columns.duration} className="number nowrap">
        <Elapsed from={run.startedAt ?? run.queuedAt} to={run.endedAt} />
      </td>
    </tr>
  );
}

function RunSourceLine({ run }: { run: Run }): ReactNode {
  if (run.source === null) {
    return (
      <span className="with-icon">
        <TagIcon /> <span className="mono clip">{run.images.map(({ tag }) => tag).join(', ')}</span>
      </span>
    );
  }
  return (
    <>
      <span className="with-icon">
        {run.source.refType === 'tag' ? <TagIcon /> : <BranchIcon />}
        <span className="mono clip">{run.source.ref}</span>
        <span className="mono muted">{shortCommit(run.source.commit)}</span>
      </span>
      {run.source.message !== null && <p className="muted small clip">{firstLine(run.source.message)}</p>}
    </>
  );
}
