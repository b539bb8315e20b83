import type { ReactNode } from 'react';
import { Link } from '@tanstack/react-router';
import type { PushStep, RunRecord, TagFence } from '../api-types.ts';
import { messages } from '../messages/index.ts';
import { CopyButton } from '../ui/copy-button.tsx';
import { Facts } from '../ui/panels.tsx';

/** The digest that was stored and the tags that moved to it. */
export function PushPanel({ step, fence }: { step: PushStep; fence: RunRecord['tagFence'] }): ReactNode {
  const { result } = step;
  if (result === null) return <p className="muted">{messages.record.nothingYet}</p>;
  const { push } = messages;
  return (
    <>
      <Facts
        items={[
          [
            push.digest,
            <span key="digest" className="with-icon">
              <code className="break">{result.digest}</code>
              <CopyButton text={result.digest} label={push.digest} />
            </span>,
          ],
          [push.mediaType, <code key="type">{result.mediaType}</code>],
          ...(result.isHeld ? [] : ([[push.tags, <TagList key="tags" tags={result.tags} />]] as const)),
        ]}
      />
      {result.isHeld && <p className="muted">{push.heldDetail}</p>}
      {!result.isHeld && <TagFences fence={fence} />}
    </>
  );
}

/** Tags newer runs hold, and tags kept from older ones: said where the tags moved. */
export function TagFences({ fence }: { fence: RunRecord['tagFence'] }): ReactNode {
  return (
    <>
      <Fences title={messages.push.fenced} fences={fence.heldBy} />
      <Fences title={messages.push.keptFrom} fences={fence.keptFrom} />
    </>
  );
}

/** Tags with the run that holds them, or that they were kept from. */
function Fences({ title, fences }: { title: string; fences: readonly TagFence[] }): ReactNode {
  if (fences.length === 0) return null;
  return (
    <>
      <p>{title}</p>
      <ul className="fences">
        {fences.map(({ tag, run }) => (
          <li key={`${tag} ${run.id}`}>
            <code className="tag">{tag}</code>{' '}
            <Link to="/records/$runId" params={{ runId: run.id }}>
              #{run.number}
            </Link>
          </li>
        ))}
      </ul>
    </>
  );
}

/** Image tags as labels. */
export function TagList({ tags }: { tags: readonly string[] }): ReactNode {
  return (
    <span className="tags">
      {tags.map((tag) => (
        <code key={tag} className="tag">
          {tag}
        </code>
      ))}
    </span>
  );
}
