import { Button, Modal } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import type { ReactNode } from 'react';
import { cancelRun } from '../api.ts';
import type { Run } from '../api-types.ts';
import { messages } from '../messages/index.ts';
import { firstLine, shortCommit } from '../ui/format.ts';
import { BranchIcon, CommitIcon, TagIcon } from '../ui/icons.tsx';
import { ErrorPanel, PageTitle } from '../ui/panels.tsx';
import { StateBadge } from '../ui/state-badge.tsx';
import { runLook } from '../ui/state.ts';
import { Ago, Elapsed } from '../ui/time.tsx';
import { wordProblem, wordReason } from '../words.ts';

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
        <CancelButton run={run} />
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
      {run.attempt > 1 && <li>{messages.record.attempt(run.attempt)}</li>}
    </ul>
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

function CancelButton({ run }: { run: Run }): ReactNode {
  const [isAsking, setAsking] = useState(false);
  const queries = useQueryClient();
  const cancel = useMutation({
    mutationFn: () => cancelRun(run.id),
    onSuccess: () => {
      setAsking(false);
      return queries.invalidateQueries({ queryKey: ['run', run.id] });
    },
  });
  if (run.endedAt !== null) return null;
  if (run.status === 'canceling') {
    const { cancelRequestedBy: actor } = run;
    return (
      <span className="muted">{actor === null ? messages.record.canceling : messages.record.cancelingBy(actor)}</span>
    );
  }
  return (
    <>
      <Button variant="default" onClick={() => setAsking(true)}>
        {messages.record.cancel}
      </Button>
      <Modal opened={isAsking} onClose={() => setAsking(false)} title={messages.record.cancelTitle} centered>
        <p>{messages.record.cancelBody}</p>
        {cancel.isError && <ErrorPanel problem={wordProblem(cancel.error, messages.error.actionTitle)} />}
        <div className="dialog-actions">
          <Button variant="default" onClick={() => setAsking(false)} data-autofocus>
            {messages.record.cancelKeep}
          </Button>
          <Button color="danger" loading={cancel.isPending} onClick={() => cancel.mutate()}>
            {messages.record.cancelConfirm}
          </Button>
        </div>
      </Modal>
    </>
  );
}
