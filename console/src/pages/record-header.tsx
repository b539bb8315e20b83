import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import type { OtherRun, Run } from '../api-types.ts';
import { messages } from '../messages/index.ts';
import { firstLine, shortCommit } from '../ui/format.ts';
import { BranchIcon, CommitIcon, TagIcon } from '../ui/icons.tsx';
import { PageTitle } from '../ui/panels.tsx';
import { StateBadge } from '../ui/state-badge.tsx';
import { runLook } from '../ui/state.ts';
import { Ago, Elapsed } from '../ui/time.tsx';
import { wordReason } from '../words.ts';
import { RecordActions } from './record-actions.tsx';

/** Which run, how it stands and why, what started it. */
export function RecordHeader({ run }: { run: Run }): ReactNode {
  const look = runLook(run);
  const path = `${run.repository.namespace}/${run.repository.name}`;
  const chain = run.chain?.name ?? messages.record.outsideChain;
  return (
    <header className="record-header">
      <nav className="crumbs" aria-label={messages.list.title}>
        <Link to="/records">{messages.list.title}</Link> <span aria-hidden="true">/</span>{' '}
        <Link to="/records" search={{ repository: path }}>
          {path}
        </Link>
      </nav>
      <div className="record-title">
        <PageTitle title={`${path} · ${chain} · #${run.number}`}>
          {path} <span className="muted">·</span> {chain} <span className="muted">·</span> #{run.number}
        </PageTitle>
        <StateBadge look={look} size="large" />
        <RecordActions run={run} />
      </div>
      {run.reason !== null && (
        <p className={look.tone === 'success' ? 'muted' : `record-reason tone-${look.tone}`}>
          {wordReason(run.reason)}
        </p>
      )}
      <HeaderFacts run={run} />
    </header>
  );
}

function HeaderFacts({ run }: { run: Run }): ReactNode {
  return (
    <ul className="header-facts">
      {run.source !== null && <SourceFacts source={run.source} />}
      <li>
        {messages.cause[run.cause]}
        {run.actor !== null && (
          <>
            {' '}
            {messages.record.by} <bdi>{run.actor}</bdi> <Unverified cause={run.cause} />
          </>
        )}
      </li>
      <li>
        {run.startedAt === null ? messages.record.queued : messages.record.started}{' '}
        <Ago at={run.startedAt ?? run.queuedAt} />
      </li>
      <li>
        {elapsedWord(run)} <Elapsed from={run.startedAt ?? run.queuedAt} to={run.endedAt} />
      </li>
      {run.queue !== null && <li>{messages.record.place(run.queue.place, run.queue.of)}</li>}
      <RunLink word={messages.record.supersededBy} run={run.supersededBy} />
      <RunLink word={messages.record.supersedes} run={run.supersedes} />
      {run.isLate && <li title={messages.record.lateHint}>{messages.record.late}</li>}
      {run.attempt > 1 && <li>{messages.record.attempt(run.attempt)}</li>}
    </ul>
  );
}

function RunLink({ word, run }: { word: string; run: OtherRun | null }): ReactNode {
  if (run === null) return null;
  return (
    <li>
      {word}{' '}
      <Link to="/records/$runId" params={{ runId: run.id }}>
        #{run.number}
      </Link>
    </li>
  );
}

function elapsedWord(run: Run): string {
  if (run.endedAt !== null) return messages.record.took;
  return run.startedAt === null ? messages.record.waiting : messages.record.running;
}

function SourceFacts({ source }: { source: NonNullable<Run['source']> }): ReactNode {
  return (
    <>
      <li className="with-icon">
        {source.refType === 'tag' ? <TagIcon /> : <BranchIcon />}
        <bdi className="mono">{source.ref}</bdi>
      </li>
      <li className="with-icon header-commit">
        <CommitIcon />
        <span className="mono" title={source.commit}>
          {shortCommit(source.commit)}
        </span>
        {source.message !== null && (
          <bdi className="clip" title={source.message}>
            {firstLine(source.message)}
          </bdi>
        )}
      </li>
    </>
  );
}

/** Names that a source host reported. Who acted on this server is known. */
function Unverified({ cause }: { cause: Run['cause'] }): ReactNode {
  if (cause === 'manual' || cause === 'api' || cause === 'rebuild' || cause === 'restart') return null;
  return (
    <span className="muted" title={messages.record.unverifiedHint}>
      ({messages.record.unverified})
    </span>
  );
}
