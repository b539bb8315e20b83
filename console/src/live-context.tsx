import { useQueryClient } from '@tanstack/react-query';
import { createContext, use, useEffect, useState, useSyncExternalStore } from 'react';
import type { ReactNode } from 'react';
import { createLive } from './live.ts';
import type { Live, LiveStatus } from './live.ts';

const LiveContext = createContext<Live | null>(null);

const quietMs = 300;

/** Opens the state stream for everything below, and refetches what a change touches, at most every 300 ms. */
export function LiveProvider({ children }: { children: ReactNode }): ReactNode {
  const queries = useQueryClient();
  const [live, setLive] = useState<Live | null>(null);
  useEffect(() => {
    const opened = createLive();
    setLive(opened);
    const changed = new Set<string>();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const flush = (): void => {
      timer = undefined;
      void queries.invalidateQueries({ queryKey: ['runs'] });
      for (const id of changed) void queries.invalidateQueries({ queryKey: ['run', id] });
      changed.clear();
    };
    opened.onEvent(({ id }) => {
      changed.add(id);
      timer ??= setTimeout(flush, quietMs);
    });
    // What changed while the stream was away is not told again.
    opened.onStatus(() => {
      if (opened.status() === 'open') void queries.invalidateQueries();
    });
    return () => {
      clearTimeout(timer);
      opened.close();
    };
  }, [queries]);
  return <LiveContext value={live}>{children}</LiveContext>;
}

/** Whether changes arrive by themselves just now. */
export function useLiveStatus(): LiveStatus {
  const live = use(LiveContext);
  return useSyncExternalStore(
    (listener) => live?.onStatus(listener) ?? (() => undefined),
    () => live?.status() ?? 'connecting',
  );
}

/** How often to ask while the stream is away; false while it is there. */
export function usePollMs(): number | false {
  return useLiveStatus() === 'lost' ? 10_000 : false;
}
