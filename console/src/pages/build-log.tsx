import { NativeSelect } from '@mantine/core';
import { useNavigate, useRouterState } from '@tanstack/react-router';
import { useEffect, useMemo, useState, useSyncExternalStore } from 'react';
import type { ReactNode } from 'react';
import { fetchLog, logStreamUrl, rawLogUrl } from '../api.ts';
import { LogStore } from '../log-store.ts';
import type { LogStatus } from '../log-store.ts';
import { openLogStream } from '../log-stream.ts';
import { messages } from '../messages/index.ts';
import { DownloadIcon } from '../ui/icons.tsx';
import { ErrorPanel, LoadingPanel } from '../ui/panels.tsx';
import { wordProblem } from '../words.ts';
import { BuildLogSearch } from './build-log-search.tsx';
import { BuildLogView } from './build-log-view.tsx';

interface BuildLogProps {
  readonly build: string;
  readonly runId: string;
  readonly platforms: readonly string[];
}

/** A build's log: follows while live, searched on the server, every line with an address. */
export function BuildLog({ build, runId, platforms }: BuildLogProps): ReactNode {
  const store = useLogStore(build);
  const [marked, mark] = useMarkedLines(runId);
  const [found, setFound] = useState<number | null>(null);
  const [areTimesShown, setTimesShown] = useState(false);
  useSyncExternalStore(store.subscribe, store.version);
  if (store.status === 'failed') {
    return <ErrorPanel problem={wordProblem(store.problem)} onRetry={() => void store.start()} />;
  }
  return (
    <div className="log">
      <div className="log-bar">
        <LogState status={store.status} lines={store.lines} />
        <BuildLogSearch build={build} onFound={setFound} />
        {platforms.length > 1 && <PlatformChoice store={store} platforms={platforms} />}
        <label className="log-times">
          <input type="checkbox" checked={areTimesShown} onChange={({ target }) => setTimesShown(target.checked)} />
          {messages.log.times}
        </label>
        <a href={rawLogUrl(build)} download={`build-${build}.log`} className="with-icon log-download">
          <DownloadIcon /> {messages.log.download}
        </a>
      </div>
      {store.status === 'loading' ? (
        <LoadingPanel rows={6} label={messages.log.loading} />
      ) : (
        <BuildLogView
          store={store}
          marked={marked}
          found={found}
          areTimesShown={areTimesShown}
          arePlatformsShown={platforms.length > 1 && store.platform === null}
          addressOf={(line) => `/records/${runId}?step=build#L${line}`}
          onMark={mark}
        />
      )}
    </div>
  );
}

function useLogStore(build: string): LogStore {
  const store = useMemo(
    () =>
      new LogStore({
        page: (range, signal) => fetchLog(build, range, signal),
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

/** The lines named in the address, `#L120` or `#L120-L130`. */
export interface LineRange {
  readonly from: number;
  readonly to: number;
}

function useMarkedLines(runId: string): [LineRange | null, (line: number, isExtending: boolean) => void] {
  const hash = useRouterState({ select: ({ location }) => location.hash });
  const navigate = useNavigate();
  const match = /^L(\d{1,9})(?:-L(\d{1,9}))?$/.exec(hash);
  const from = match === null ? null : Number(match[1]);
  const to = match?.[2] === undefined ? from : Number(match[2]);
  const range = from === null || to === null ? null : { from: Math.min(from, to), to: Math.max(from, to) };
  const mark = (line: number, isExtending: boolean): void => {
    const first = isExtending && range !== null ? Math.min(range.from, line) : line;
    const last = isExtending && range !== null ? Math.max(range.from, line) : line;
    void navigate({
      to: '/records/$runId',
      params: { runId },
      search: { step: 'build' },
      hash: first === last ? `L${line}` : `L${first}-L${last}`,
      replace: true,
      resetScroll: false,
      hashScrollIntoView: false,
    });
  };
  return [range, mark];
}

function LogState({ status, lines }: { status: LogStatus; lines: number }): ReactNode {
  const words: Record<LogStatus, string> = {
    loading: '',
    live: messages.log.live,
    lost: messages.log.paused,
    ended: '',
    failed: '',
  };
  return (
    <span className="log-state">
      {words[status] !== '' && <span className={`log-live is-${status}`}>{words[status]}</span>}
      <span className="muted">{messages.log.lines(lines)}</span>
    </span>
  );
}

function PlatformChoice({ store, platforms }: { store: LogStore; platforms: readonly string[] }): ReactNode {
  return (
    <NativeSelect
      aria-label={messages.log.architecture}
      data={[{ value: '', label: messages.log.allArchitectures }, ...platforms]}
      value={store.platform ?? ''}
      onChange={({ target }) => void store.choosePlatform(target.value === '' ? null : target.value)}
    />
  );
}
