import { Button, Skeleton } from '@mantine/core';
import { useEffect, useRef } from 'react';
import type { ReactNode } from 'react';
import { messages } from '../messages/index.ts';

/** What went wrong, why, the id to quote, and a way to try again. */
export function ErrorPanel({
  problem,
  onRetry,
}: {
  problem: { readonly title: string; readonly detail: string; readonly requestId: string | null };
  onRetry?: () => void;
}): ReactNode {
  return (
    <div className="panel-error" role="alert">
      <strong>{problem.title}</strong>
      <p>{problem.detail}</p>
      {problem.requestId !== null && (
        <p className="muted small">
          {messages.error.requestId} <code>{problem.requestId}</code>
        </p>
      )}
      {onRetry !== undefined && (
        <Button size="xs" variant="default" onClick={onRetry}>
          {messages.error.retry}
        </Button>
      )}
    </div>
  );
}

/** What would stand here, and how to get it. */
export function EmptyPanel({ title, children }: { title: string; children: ReactNode }): ReactNode {
  return (
    <div className="panel-empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** Grey lines in place of what is being fetched; seen only after 200 ms (by style), so that a quick answer does not flicker. */
export function LoadingPanel({ rows, label }: { rows: number; label: string }): ReactNode {
  return (
    <div className="panel-loading" role="status" aria-label={label}>
      {Array.from({ length: rows }, (_, row) => (
        <Skeleton key={row} height={20} radius="sm" width={`${92 - ((row * 17) % 40)}%`} />
      ))}
    </div>
  );
}

/** The page's heading: takes the focus when the page changes, and names the tab. */
export function PageTitle({ title, children }: { title: string; children?: ReactNode }): ReactNode {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · ${messages.product}`;
  }, [title]);
  useEffect(() => {
    if (isFirstPage) isFirstPage = false;
    else heading.current?.focus({ preventScroll: true });
  }, []);
  return (
    <h1 ref={heading} tabIndex={-1}>
      {children ?? title}
    </h1>
  );
}

// The first page keeps the browser's own focus; only a change of page moves it.
let isFirstPage = true;

/** Terms and what they stand for. */
export function Facts({ items }: { items: readonly (readonly [string, ReactNode])[] }): ReactNode {
  return (
    <dl className="facts">
      {items.map(([term, value]) => (
        <div key={term}>
          <dt>{term}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
