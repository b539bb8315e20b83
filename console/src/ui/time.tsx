import { useEffect, useState } from 'react';
import type { ReactNode } from 'react';
import { formatAgo, formatClock, formatDuration, formatElapsed, formatTime } from './format.ts';
import { useZone } from './zone.tsx';

/** The time now, renewed every `everyMs`; null stops the clock. */
export function useNow(everyMs: number | null): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (everyMs === null) return undefined;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

/** `3 min. ago`, the whole time with its zone on hover. */
export function Ago({ at }: { at: string }): ReactNode {
  const now = useNow(30_000);
  const { zone } = useZone();
  return (
    <time className="ago" dateTime={at} title={formatTime(at, zone)}>
      {formatAgo(at, Math.max(now, Date.now()))}
    </time>
  );
}

/** The whole time in the chosen zone, or only its clock with the rest on hover. */
export function Time({ at, isClock = false }: { at: string; isClock?: boolean }): ReactNode {
  const { zone } = useZone();
  return (
    <time dateTime={at} title={formatTime(at, zone)}>
      {isClock ? formatClock(at, zone) : formatTime(at, zone)}
    </time>
  );
}

/** How long something took, or has been taking: ticks while it has no end. */
export function Elapsed({ from, to }: { from: string; to: string | null }): ReactNode {
  const now = useNow(to === null ? 1_000 : null);
  const start = Date.parse(from);
  const text = to === null ? formatElapsed(Math.max(0, now - start)) : formatDuration(Date.parse(to) - start);
  return <span className="duration">{text}</span>;
}
