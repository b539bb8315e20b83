import { useEffect, useState } from 'react';
import type { ReactNode } from 'react';
import { messages } from '../messages/index.ts';
import { CheckIcon, CopyIcon } from './icons.tsx';

/** Copies `text`; `label` says what. Falls back to a selection where the clipboard needs a secure page. */
export function CopyButton({ text, label }: { text: string; label: string }): ReactNode {
  const [isCopied, setCopied] = useState(false);
  useEffect(() => {
    if (!isCopied) return undefined;
    const timer = setTimeout(() => setCopied(false), 1_500);
    return () => clearTimeout(timer);
  }, [isCopied]);
  const copy = (): void => {
    copyText(text).then(
      () => setCopied(true),
      () => setCopied(false),
    );
  };
  return (
    <button
      type="button"
      className="icon-button"
      onClick={copy}
      aria-label={`${messages.record.copy}: ${label}`}
      title={`${messages.record.copy}: ${label}`}
    >
      {isCopied ? <CheckIcon /> : <CopyIcon />}
      <span className="visually-hidden" role="status">
        {isCopied ? messages.record.copied : ''}
      </span>
    </button>
  );
}

/** To the clipboard, also where the page is not secure. */
export async function copyText(text: string): Promise<void> {
  if (window.isSecureContext) return navigator.clipboard.writeText(text);
  const field = document.createElement('textarea');
  field.value = text;
  document.body.append(field);
  field.select();
  document.execCommand('copy');
  field.remove();
}
