import type { ReactNode } from 'react';
import type { PushStep } from '../api-types.ts';
import { messages } from '../messages/index.ts';
import { CopyButton } from '../ui/copy-button.tsx';
import { Facts } from '../ui/panels.tsx';

/** The digest that was stored and the tags that moved to it. */
export function PushPanel({ step }: { step: PushStep }): ReactNode {
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
      {result.fenced.map(({ tag }) => (
        <p key={tag}>{push.fenced(tag)}</p>
      ))}
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
