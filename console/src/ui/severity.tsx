import type { ReactNode } from 'react';
import type { Severity } from '../../../domain/scan.ts';
import { messages } from '../messages/index.ts';

/** A severity by word and colour. */
export function SeverityLabel({ severity }: { severity: Severity }): ReactNode {
  return <span className={`severity severity-${severity}`}>{messages.scan.severity[severity]}</span>;
}

/** How many of one severity; none is pale. */
export function SeverityCount({ severity, count }: { severity: Severity; count: number }): ReactNode {
  return (
    <span className={`severity-count ${count === 0 ? 'is-none' : `severity-${severity}`}`}>
      <strong>{count.toLocaleString(messages.locale)}</strong> {messages.scan.severity[severity]}
    </span>
  );
}
