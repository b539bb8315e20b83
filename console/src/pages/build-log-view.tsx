import { memo, useEffect, useLayoutEffect, useRef, useState } from 'react';
import type { MouseEvent, ReactNode, RefObject } from 'react';
import type { LogLine } from '../api-types.ts';
import type { LogStore } from '../log-store.ts';
import { messages } from '../messages/index.ts';
import { ArrowDownIcon } from '../ui/icons.tsx';
import { isErrorLine, renderLine } from '../ui/log-line.ts';
import { logWindow, rowHeight, scrollTopOfRow } from '../ui/log-window.ts';
import { Time } from '../ui/time.tsx';
import type { LineRange } from './build-log.tsx';

interface ViewProps {
  readonly store: LogStore;
  readonly marked: LineRange | null;
  /** The line the search stands at. */
  readonly found: number | null;
  readonly areTimesShown: boolean;
  readonly arePlatformsShown: boolean;
  readonly addressOf: (line: number) => string;
  readonly onMark: (line: number, isExtending: boolean) => void;
}

/** The scrolled lines: draws those in view, follows the end only while the reader is there. */
export function BuildLogView({
  store,
  marked,
  found,
  areTimesShown,
  arePlatformsShown,
  addressOf,
  onMark,
}: ViewProps): ReactNode {
  const view = useRef<HTMLDivElement>(null);
  const { scrollTop, viewHeight } = useScroll(view);
  const { rows } = store;
  const isEnded = store.status === 'ended';
  const { isFollowing, unseen, jump } = useFollow(view, { rows, startsAtEnd: marked === null });
  const { height, first, last, top } = logWindow({ rows, scrollTop, viewHeight });

  useEffect(() => store.want(first, last), [store, first, last, rows]);
  useBringIntoView(view, { store, rows, line: found ?? marked?.from ?? null });

  const shown = Array.from({ length: last - first }, (_, index) => ({
    row: first + index,
    line: store.row(first + index),
  }));
  return (
    <div className="log-frame">
      <div ref={view} className="log-view" role="log" aria-live="off" aria-label={messages.log.title} tabIndex={0}>
        {rows === 0 && <p className="muted log-empty">{isEnded ? messages.log.emptyEnded : messages.log.empty}</p>}
        <div style={{ height, position: 'relative' }}>
          <div className="log-rows" style={{ transform: `translateY(${top}px)` }}>
            {shown.map(({ row, line }) => (
              <LogRow
                key={row}
                line={line}
                isMarked={line !== undefined && marked !== null && line.line >= marked.from && line.line <= marked.to}
                isFound={line !== undefined && line.line === found}
                isPlatformShown={arePlatformsShown}
                isTimeShown={areTimesShown}
                address={line === undefined ? '' : addressOf(line.line)}
                onMark={onMark}
              />
            ))}
          </div>
        </div>
      </div>
      {!isFollowing && (
        <button type="button" className="pill log-pill" onClick={jump}>
          <ArrowDownIcon /> {unseen > 0 ? messages.log.newLines(unseen) : messages.log.follow}
        </button>
      )}
      <PoliteCount lines={store.lines} />
    </div>
  );
}

function useScroll(view: RefObject<HTMLDivElement | null>): { scrollTop: number; viewHeight: number } {
  const [scroll, setScroll] = useState({ scrollTop: 0, viewHeight: 480 });
  useLayoutEffect(() => {
    const element = view.current;
    if (element === null) return undefined;
    const read = (): void => setScroll({ scrollTop: element.scrollTop, viewHeight: element.clientHeight });
    read();
    element.addEventListener('scroll', read, { passive: true });
    const sized = new ResizeObserver(read);
    sized.observe(element);
    return () => {
      element.removeEventListener('scroll', read);
      sized.disconnect();
    };
  }, [view]);
  return scroll;
}

/** Follows the end while the reader is at it; else counts what arrived since they left. */
function useFollow(
  view: RefObject<HTMLDivElement | null>,
  { rows, startsAtEnd }: { rows: number; startsAtEnd: boolean },
): { isFollowing: boolean; unseen: number; jump: () => void } {
  const [isFollowing, setFollowing] = useState(startsAtEnd);
  const [seen, setSeen] = useState(rows);
  useEffect(() => {
    const element = view.current;
    if (element === null) return undefined;
    const look = (): void => {
      setFollowing(element.scrollHeight - element.scrollTop - element.clientHeight < rowHeight);
    };
    element.addEventListener('scroll', look, { passive: true });
    return () => element.removeEventListener('scroll', look);
  }, [view]);
  useLayoutEffect(() => {
    if (!isFollowing) return;
    setSeen(rows);
    view.current?.scrollTo({ top: view.current.scrollHeight });
  }, [view, rows, isFollowing]);
  const jump = (): void => {
    view.current?.scrollTo({ top: view.current.scrollHeight });
    setFollowing(true);
  };
  return { isFollowing, unseen: rows - seen, jump };
}

/** Brings the line of the address or of the search into view, once for each. */
function useBringIntoView(
  view: RefObject<HTMLDivElement | null>,
  { store, rows, line }: { store: LogStore; rows: number; line: number | null },
): void {
  const brought = useRef<number | null>(null);
  useEffect(() => {
    const element = view.current;
    if (line === null) brought.current = null;
    if (element === null || line === null || line === brought.current || rows === 0) return;
    brought.current = line;
    const row = store.rowOfLine(line);
    const top = row * rowHeight;
    const isInView = top >= element.scrollTop && top < element.scrollTop + element.clientHeight - rowHeight;
    if (!isInView) element.scrollTo({ top: scrollTopOfRow({ rows, row, viewHeight: element.clientHeight }) });
  }, [view, store, rows, line]);
}

interface RowProps {
  readonly line: LogLine | undefined;
  readonly isMarked: boolean;
  readonly isFound: boolean;
  readonly isPlatformShown: boolean;
  readonly isTimeShown: boolean;
  readonly address: string;
  readonly onMark: (line: number, isExtending: boolean) => void;
}

const LogRow = memo(function LogRow({
  line,
  isMarked,
  isFound,
  isPlatformShown,
  isTimeShown,
  address,
  onMark,
}: RowProps) {
  if (line === undefined) return <div className="log-row" />;
  const mark = (event: MouseEvent): void => {
    if (event.metaKey || event.ctrlKey) return;
    event.preventDefault();
    onMark(line.line, event.shiftKey);
  };
  const look = `${isMarked ? ' is-marked' : ''}${isFound ? ' is-found' : ''}${isErrorLine(line.text) ? ' is-error' : ''}`;
  return (
    <div className={`log-row${look}`}>
      <a href={address} className="log-number" onClick={mark} aria-label={messages.log.lineLink(line.line)}>
        {line.line}
      </a>
      {isTimeShown && (
        <span className="log-time">
          <Time at={line.time} isClock />
        </span>
      )}
      {isPlatformShown && <span className="log-platform">{line.platform?.replace('linux/', '') ?? ''}</span>}
      <span className="log-text">
        {renderLine(line.text).map(({ text, style, href }, index) =>
          href === null ? (
            <span key={index} style={style}>
              {text}
            </span>
          ) : (
            <a key={index} href={href} style={style} target="_blank" rel="noopener noreferrer">
              {text}
            </a>
          ),
        )}
      </span>
    </div>
  );
});

/** Says how the log grows to those who do not see it, at most every ten seconds. */
function PoliteCount({ lines }: { lines: number }): ReactNode {
  const [said, setSaid] = useState('');
  const newest = useRef(lines);
  newest.current = lines;
  useEffect(() => {
    let last = newest.current;
    const timer = setInterval(() => {
      if (newest.current === last) return;
      last = newest.current;
      setSaid(messages.log.progress(last));
    }, 10_000);
    return () => clearInterval(timer);
  }, []);
  return (
    <span className="visually-hidden" aria-live="polite">
      {said}
    </span>
  );
}
