import { Button } from '@mantine/core';
import type { ReactNode } from 'react';
import type { Hook } from '../api-source.ts';
import { messages } from '../messages/index.ts';
import { CopyButton } from '../ui/copy-button.tsx';
import { Facts } from '../ui/panels.tsx';

/** A webhook with the secret that was just made for it, and by what. */
export interface MadeHook {
  readonly hook: Hook;
  readonly by: 'bind' | 'rotate';
}

/** The webhook as people add it themselves; a secret that was just made is shown this once. */
export function HookByHand({
  hook,
  made,
  onCopied,
}: {
  hook: Hook;
  made: MadeHook | null;
  onCopied: () => void;
}): ReactNode {
  const words = messages.source.binding;
  if (hook.installed) {
    return made === null ? null : (
      <p className="note-success" role="status">
        {made.by === 'bind' ? words.hookPut : words.secretPut}
      </p>
    );
  }
  const secret = made?.hook.secret ?? null;
  return (
    <div className="hook-by-hand">
      <p>{hook.instructions}</p>
      <Facts
        items={[
          [words.address, <Copyable key="address" text={hook.url} label={words.address} />],
          [
            words.secret,
            secret === null ? (
              <span key="stored" className="muted">
                {words.secretStored}
              </span>
            ) : (
              <Copyable key="secret" text={secret} label={words.secret} />
            ),
          ],
        ]}
      />
      {secret !== null && (
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
