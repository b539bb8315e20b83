import { useQuery } from '@tanstack/react-query';
import { useNavigate, useRouterState } from '@tanstack/react-router';
import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react';
import type { KeyboardEvent, ReactNode } from 'react';
import { fetchLog, listLogRanges, listLogSteps, logStreamUrl, searchLog } from '../api.ts';
import type { LineRange } from '../log-lines.ts';
import { LogStore } from '../log-store.ts';
import type { LogView } from '../log-store.ts';
import { openLogStream } from '../log-stream.ts';
import { messages } from '../messages/index.ts';
import { ErrorPanel, LoadingPanel } from '../ui/panels.tsx';
import { wordProblem } from '../words.ts';
import { BuildLogBar } from './build-log-bar.tsx';
import type { LogLook } from './build-log-bar.tsx';
import { BuildLogSearch, useLogSearch } from './build-log-search.tsx';
import { BuildLogSteps } from './build-log-steps.tsx';
import { BuildLogView } from './build-log-view.tsx';

interface BuildLogProps {
  readonly build: string;
  readonly platforms: readonly string[];
  /** The page the log stands on, without a line: `/records/…?step=build`. */
  readonly address: string;
}

/** A build's log: follows while live, searched on the server, every line with an address. */
export function BuildLog({ build, platforms, address }: BuildLogProps): ReactNode {
  const store = useLogStore(build);
  const [marked, mark] = useMarkedLines(address);
  const search = useLogSearch(build);
  const searchInput = useRef<HTMLInputElement>(null);
  const [look, setLook] = useState<LogLook>({ areTimesShown: false, isWrapped: false });
  useSyncExternalStore(store.subscribe, store.version);
  const steps = useSteps(build, store);
  const failed = store.status === 'ended' ? steps.findLast(({ state }) => state === 'failed') : undefined;
  // Keys work while the log has the focus: nowhere else do they take a letter from anybody.
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'n') search.go(1);
    if (event.key === 'N') search.go(-1);
    if (event.key !== '/') return;
    event.preventDefault();
    searchInput.current?.focus();
  };
  if (store.status === 'failed') {
    return <ErrorPanel problem={wordProblem(store.problem)} onRetry={() => void store.start()} />;
  }
  if (store.status === 'loading') return <LoadingPanel rows={6} label={messages.log.loading} />;
  if (store.isRemoved) return <p className="muted">{messages.log.removed(store.lines)}</p>;
  const arePlatformsShown = platforms.length > 1 && store.view.kind !== 'platform';
  return (
    <div className="log" onKeyDown={onKeyDown}>
      <BuildLogBar {...{ build, store, platforms, marked, look }} onLook={setLook}>
        <BuildLogSearch search={search} input={searchInput} />
      </BuildLogBar>
      {steps.length > 0 && (
        <BuildLogSteps steps={steps} arePlatformsShown={platforms.length > 1} onChoose={(line) => mark(line, false)} />
      )}
      <BuildLogView
        {...look}
        store={store}
        marked={marked}
        found={search.line}
        initial={failed?.endLine ?? null}
        arePlatformsShown={arePlatformsShown}
        addressOf={(line) => `${address}#L${line}`}
        onMark={mark}
      />
      {store.progress !== null && (
        <p className="log-progress mono small muted">
          {arePlatformsShown && store.progress.platform?.replace('linux/', '')} #{store.progress.step}{' '}
          {store.progress.text}
        </p>
      )}
    </div>
  );
}

function useLogStore(build: string): LogStore {
  const store = useMemo(
    () =>
      new LogStore({
        page: (range, signal) => fetchLog(build, range, signal),
        ranges: (view, signal) => rangesOf(build, view, signal),
        stream: (after, listener) => openLogStream(logStreamUrl(build, after), listener),
      }),
    [build],
  );
  useEffect(() => {
    void store.start();
    return () => store.close();
  }, [store]);
  return store;
}

/** Errors past this number are not gathered: whoever has so many looks at the first ones. */
const mostErrors = 20_000;

async function rangesOf(build: string, view: LogView, signal: AbortSignal): Promise<readonly LineRange[]> {
  if (view.kind === 'all') return [];
  if (view.kind === 'platform') return (await listLogRanges(build, view.platform, signal)).items;
  const found: LineRange[] = [];
  let offset: number | null = 0;
  while (offset !== null && found.length < mostErrors) {
    // oxlint-disable-next-line no-await-in-loop -- a page begins where the one before it ended
    const page = await searchLog(build, { only: 'errors', offset, limit: 5_000 }, signal);
    found.push(...page.items.map(({ line }) => ({ line, lines: 1 })));
    offset = page.nextOffset;
  }
  return found;
}

/** How often the steps of a build that goes on are asked for. */
const stepsEveryMs = 3_000;

function useSteps(build: string, store: LogStore) {
  const isEnded = store.status === 'ended';
  const { data } = useQuery({
    queryKey: ['log-steps', build, isEnded],
    queryFn: ({ signal }) => listLogSteps(build, signal),
    enabled: store.status !== 'loading' && !store.isRemoved,
    refetchInterval: isEnded ? false : stepsEveryMs,
    placeholderData: (known) => known,
  });
  return data?.items ?? [];
}

/** The lines named in the address, `#L120` or `#L120-L130`. */
export interface MarkedLines {
  readonly from: number;
  readonly to: number;
}

function useMarkedLines(address: string): [MarkedLines | null, (line: number, isExtending: boolean) => void] {
  const hash = useRouterState({ select: ({ location }) => location.hash });
  const navigate = useNavigate();
  const match = /^L(\d{1,9})(?:-L(\d{1,9}))?$/.exec(hash);
  const from = match === null ? null : Number(match[1]);
  const to = match?.[2] === undefined ? from : Number(match[2]);
  const range = from === null || to === null ? null : { from: Math.min(from, to), to: Math.max(from, to) };
  const mark = (line: number, isExtending: boolean): void => {
    const first = isExtending && range !== null ? Math.min(range.from, line) : line;
    const last = isExtending && range !== null ? Math.max(range.from, line) : line;
    const lines = first === last ? `L${line}` : `L${first}-L${last}`;
    void navigate({ href: `${address}#${lines}`, replace: true, resetScroll: false, hashScrollIntoView: false });
  };
  return [range, mark];
}
