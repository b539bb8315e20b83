import { Button } from '@mantine/core';
import type { ReactNode } from 'react';
import type { Hook } from '../api-source.ts';
import { messages } from '../messages/index.ts';
import { CopyButton } from '../ui/copy-button.tsx';
import { Facts } from '../ui/panels.tsx';

/** The webhook as people add it themselves; a secret that was just made is shown this once. */
export function HookByHand({ hook, isNew, onCopied }: { hook: Hook; isNew: boolean; onCopied: () => void }): ReactNode {
  const words = messages.source.binding;
  if (hook.installed) {
    return isNew ? (
      <p className="note-success" role="status">
        {words.secretPut}
      </p>
    ) : null;
  }
  return (
    <div className="hook-by-hand">
      <p>{hook.instructions}</p>
      <Facts
        items={[
          [words.address, <Copyable key="address" text={hook.url} label={words.address} />],
          [
            words.secret,
            isNew && hook.secret !== null ? (
              <Copyable key="secret" text={hook.secret} label={words.secret} />
            ) : (
              <span key="stored" className="muted">
                {words.secretStored}
              </span>
            ),
          ],
        ]}
      />
      {isNew && (
        <p className="with-icon" role="status">
          {words.secretOnce}
          <Button variant="default" onClick={onCopied}>
            {words.hideSecret}
          </Button>
        </p>
      )}
    </div>
  );
}

function Copyable({ text, label }: { text: string; label: string }): ReactNode {
  return (
    <span className="with-icon">
      <code className="break">{text}</code>
      <CopyButton text={text} label={label} />
    </span>
  );
}
