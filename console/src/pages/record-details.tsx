import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { fetchInstance, listRunEvents } from '../api.ts';
import type { Run } from '../api-types.ts';
import { messages } from '../messages/index.ts';
import { wordTrail } from '../run-trail.ts';
import type { TrailEntry } from '../run-trail.ts';
import { CopyButton } from '../ui/copy-button.tsx';
import { shortCommit, shortDigest } from '../ui/format.ts';
import { ExternalIcon } from '../ui/icons.tsx';
import { ErrorPanel, Facts } from '../ui/panels.tsx';
import { Time } from '../ui/time.tsx';
import { wordProblem } from '../words.ts';

/** Beside the steps: what came out, where from, and everything that happened in order. */
export function RecordDetails({ run }: { run: Run }): ReactNode {
  return (
    <aside className="record-details" aria-label={messages.record.details}>
      <Results run={run} />
      <Origin run={run} />
      <Trail run={run} />
    </aside>
  );
}

function Results({ run }: { run: Run }): ReactNode {
  const { instance } = run.repository;
  const registry = useQuery({
    queryKey: ['instance', instance],
    queryFn: ({ signal }) => fetchInstance(instance, signal),
    staleTime: 300_000,
  });
  const host = registry.data === undefined ? undefined : new URL(registry.data.registryUrl).host;
  return (
    <section>
      <h2>{messages.record.images}</h2>
      {run.images.length === 0 && (
        <p className="muted">{run.endedAt === null ? messages.record.noImagesYet : messages.record.noImages}</p>
      )}
      <ul className="images">
        {run.images.map((image) => (
          <li key={image.tag}>
            <code className="tag">{image.tag}</code>
            <span className="image-digest">
              <code className="muted">{shortDigest(image.digest)}</code>
              <CopyButton text={image.digest} label={`${messages.record.digest} ${image.tag}`} />
            </span>
            <span className="muted small">{image.platforms.join(', ')}</span>
            {host !== undefined && <PullCommand run={run} host={host} tag={image.tag} />}
          </li>
        ))}
      </ul>
    </section>
  );
}

function PullCommand({ run, host, tag }: { run: Run; host: string; tag: string }): ReactNode {
  const command = `docker pull ${host}/${run.repository.namespace}/${run.repository.name}:${tag}`;
  return (
    <span className="pull">
      <code title={command}>{command}</code>
      <CopyButton text={command} label={`${messages.record.pull} ${tag}`} />
    </span>
  );
}

function Origin({ run }: { run: Run }): ReactNode {
  const { record } = messages;
  const { source, temporal } = run;
  const items: (readonly [string, ReactNode])[] = [
    [record.instance, run.repository.instance],
    [record.repository, `${run.repository.namespace}/${run.repository.name}`],
    [record.chain, wordChain(run.chain)],
  ];
  if (source !== null) {
    items.push([
      source.refType === 'tag' ? record.gitTag : source.refType === 'branch' ? record.branch : record.ref,
      <bdi key="ref">{source.ref}</bdi>,
    ]);
    items.push([
      record.commit,
      <span key="commit" className="with-icon">
        <code title={source.commit}>{shortCommit(source.commit)}</code>
        <CopyButton text={source.commit} label={record.commit} />
      </span>,
    ]);
    if (source.author !== null) items.push([record.author, <AuthorName key="author" name={source.author} />]);
  }
  items.push([record.queued, <Time key="queued" at={run.queuedAt} />]);
  if (run.startedAt !== null) items.push([record.started, <Time key="started" at={run.startedAt} />]);
  if (run.endedAt !== null) items.push([record.ended, <Time key="ended" at={run.endedAt} />]);
  items.push([record.workflow, <Workflow key="workflow" temporal={temporal} />]);
  return (
    <section>
      <h2>{record.details}</h2>
      <Facts items={items} />
      {source?.commit !== undefined && (
        <Link to="/records" search={{ commit: source.commit }} className="small">
          {messages.record.sameCommit}
        </Link>
      )}
    </section>
  );
}

function wordChain(chain: Run['chain']): string {
  if (chain === null) return messages.record.outsideChain;
  const { name, version, currentVersion } = chain;
  const isChanged = currentVersion !== null && currentVersion !== version;
  return isChanged
    ? messages.record.chainVersionNow(name, version, currentVersion)
    : messages.record.chainVersion(name, version);
}

function AuthorName({ name }: { name: string }): ReactNode {
  return (
    <>
      <bdi>{name}</bdi>{' '}
      <span className="muted" title={messages.record.unverifiedHint}>
        ({messages.record.unverified})
      </span>
    </>
  );
}

function Workflow({ temporal }: { temporal: Run['temporal'] }): ReactNode {
  if (temporal.url !== null) {
    return (
      <a href={temporal.url} target="_blank" rel="noopener noreferrer" className="with-icon">
        {messages.record.temporal} <ExternalIcon />
      </a>
    );
  }
  return <code className="break small">{temporal.workflowId}</code>;
}

function Trail({ run }: { run: Run }): ReactNode {
  const events = useQuery({
    queryKey: ['run', run.id, 'events'],
    queryFn: ({ signal }) => listRunEvents(run.id, signal),
  });
  return (
    <section>
      <h2>{messages.record.trail}</h2>
      {events.isError && <ErrorPanel problem={wordProblem(events.error)} onRetry={() => void events.refetch()} />}
      {events.data?.items.length === 0 && <p className="muted">{messages.record.noTrail}</p>}
      <ol className="trail" tabIndex={0} aria-label={messages.record.trail}>
        {wordTrail(events.data?.items ?? []).map((entry) => (
          <TrailItem key={entry.id} entry={entry} />
        ))}
      </ol>
    </section>
  );
}

function TrailItem({ entry }: { entry: TrailEntry }): ReactNode {
  return (
    <li>
      <span className="muted mono">
        <Time at={entry.at} isClock />
      </span>
      <span>
        {entry.what}
        {entry.detail !== '' && <span className="muted small trail-detail">{entry.detail}</span>}
      </span>
    </li>
  );
}
