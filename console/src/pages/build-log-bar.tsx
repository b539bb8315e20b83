import { NativeSelect } from '@mantine/core';
import { useState } from 'react';
import type { ReactNode } from 'react';
import { plainLine } from '../../../domain/log-text.ts';
import { rawLogUrl } from '../api.ts';
import type { LogStatus, LogStore, LogView } from '../log-store.ts';
import { messages } from '../messages/index.ts';
import { copyText } from '../ui/copy-button.tsx';
import { CheckField } from '../ui/fields.tsx';
import { CheckIcon, CopyIcon, DownloadIcon, ExternalIcon } from '../ui/icons.tsx';
import type { MarkedLines } from './build-log.tsx';

/** How the reader likes lines drawn. */
export interface LogLook {
  readonly areTimesShown: boolean;
  readonly isWrapped: boolean;
}

interface BarProps {
  readonly build: string;
  readonly store: LogStore;
  readonly platforms: readonly string[];
  readonly marked: MarkedLines | null;
  readonly look: LogLook;
  readonly onLook: (look: LogLook) => void;
  readonly children: ReactNode;
}

/** Everything a reader can do with a log. */
export function BuildLogBar({ build, store, platforms, marked, look, onLook, children }: BarProps): ReactNode {
  const { log } = messages;
  return (
    <div className="log-bar">
      <LogState status={store.status} lines={store.lines} shown={store.view.kind === 'all' ? null : store.rows} />
      {children}
      {platforms.length > 1 && <PlatformChoice store={store} platforms={platforms} />}
      <CheckField
        label={log.errorsOnly}
        isOn={store.view.kind === 'errors'}
        onChange={(isOn) => void store.choose(isOn ? { kind: 'errors' } : { kind: 'all' })}
      />
      <CheckField
        label={log.times}
        isOn={look.areTimesShown}
        onChange={(areTimesShown) => onLook({ ...look, areTimesShown })}
      />
      <CheckField label={log.wrap} isOn={look.isWrapped} onChange={(isWrapped) => onLook({ ...look, isWrapped })} />
      <span className="log-links">
        {marked !== null && <CopyLines key={`${marked.from}-${marked.to}`} store={store} marked={marked} />}
        <a href={rawLogUrl(build, 'inline')} target="_blank" rel="noopener noreferrer" className="with-icon">
          <ExternalIcon /> {log.raw}
        </a>
        <a href={rawLogUrl(build)} download={`build-${build}.log`} className="with-icon">
          <DownloadIcon /> {log.download}
        </a>
      </span>
    </div>
  );
}

function LogState({ status, lines, shown }: { status: LogStatus; lines: number; shown: number | null }): ReactNode {
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
      <span className="muted">{shown === null ? messages.log.lines(lines) : messages.log.linesOf(shown, lines)}</span>
    </span>
  );
}

function PlatformChoice({ store, platforms }: { store: LogStore; platforms: readonly string[] }): ReactNode {
  const viewOf = (platform: string): LogView => (platform === '' ? { kind: 'all' } : { kind: 'platform', platform });
  return (
    <NativeSelect
      aria-label={messages.log.architecture}
      data={[{ value: '', label: messages.log.allArchitectures }, ...platforms]}
      value={store.view.kind === 'platform' ? store.view.platform : ''}
      onChange={({ target }) => void store.choose(viewOf(target.value))}
    />
  );
}

/** Copies the marked lines, also those that are not drawn and could not be selected. */
function CopyLines({ store, marked }: { store: LogStore; marked: MarkedLines }): ReactNode {
  const [state, setState] = useState<'ready' | 'copied' | 'failed'>('ready');
  const copy = async (): Promise<void> => {
    try {
      const lines = await store.read(marked.from, marked.to);
      await copyText(lines.map(({ text }) => `${plainLine(text)}\n`).join(''));
      setState('copied');
    } catch {
      setState('failed');
    }
  };
  const { log, record } = messages;
  const said = { ready: '', copied: record.copied, failed: log.notCopied }[state];
  return (
    <button type="button" className="link-button with-icon" onClick={() => void copy()}>
      {state === 'copied' ? <CheckIcon /> : <CopyIcon />} {log.copyLines(marked.to - marked.from + 1)}
      <span className={state === 'failed' ? 'small' : 'visually-hidden'} role="status">
        {said}
      </span>
    </button>
  );
}
