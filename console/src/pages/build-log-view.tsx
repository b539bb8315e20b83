import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react';
import type { ReactNode, RefObject } from 'react';
import type { LogStore } from '../log-store.ts';
import { messages } from '../messages/index.ts';
import { ArrowDownIcon } from '../ui/icons.tsx';
import { logWindow, maxHeight, rowHeight, scrollTopOfRow, wrappedScrollTop, wrappedWindow } from '../ui/log-window.ts';
import type { MarkedLines } from './build-log.tsx';
import { LogRow } from './build-log-row.tsx';

interface ViewProps {
  readonly store: LogStore;
  readonly marked: MarkedLines | null;
  /** The line the search stands at. */
  readonly found: number | null;
  /** Where to begin when the address names no line: the end when null. */
  readonly initial: number | null;
  readonly areTimesShown: boolean;
  readonly arePlatformsShown: boolean;
  readonly isWrapped: boolean;
  readonly addressOf: (line: number) => string;
  readonly onMark: (line: number, isExtending: boolean) => void;
}

/** So few rows are drawn whole, however tall they are. */
const fewRows = 80;

/** The scrolled lines: draws those in view, follows the end only while the reader is there. */
export function BuildLogView(props: ViewProps): ReactNode {
  const { store, marked, found, initial, isWrapped } = props;
  const view = useRef<HTMLDivElement>(null);
  const scroll = useScroll(view);
  const { rows } = store;
  const isEnded = store.status === 'ended';
  const { isFollowing, unseen, jump, stay } = useFollow(view, { rows, startsAtEnd: marked === null });
  useBringIntoView(view, { store, rows, isWrapped, line: found ?? marked?.from ?? initial, onBring: stay });
  const Rows = isWrapped ? WrappedRows : PlainRows;
  const isWhole = isWrapped && rows <= fewRows;
  // The same box whichever way lines are drawn: the place of the scroll bar stays when the reader changes it.
  const height = isWhole ? 'auto' : Math.min(rows * rowHeight, maxHeight);
  return (
    <div className="log-frame">
      <div ref={view} className="log-view" role="log" aria-live="off" aria-label={messages.log.title} tabIndex={0}>
        {rows === 0 && <p className="muted log-empty">{isEnded ? messages.log.emptyEnded : messages.log.empty}</p>}
        <div className="log-sizer" style={{ height }}>
          <Rows {...props} {...scroll} />
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

interface Scroll {
  readonly scrollTop: number;
  readonly viewHeight: number;
}

/** Lines as long as they are: every row has one height. */
function PlainRows(props: ViewProps & Scroll): ReactNode {
  const { store, scrollTop, viewHeight } = props;
  const { rows } = store;
  const { first, last, top } = logWindow({ rows, scrollTop, viewHeight });
  useEffect(() => store.want(first, last), [store, first, last, rows]);
  return (
    <div className="log-rows" style={{ transform: `translateY(${top}px)` }}>
      {rowsOf(props, first, last)}
    </div>
  );
}

/** Long lines broken: rows are measured once they are drawn, and then put where the scroll bar says. */
function WrappedRows(props: ViewProps & Scroll): ReactNode {
  const { store, scrollTop, viewHeight } = props;
  const { rows } = store;
  const drawn = useRef<HTMLDivElement>(null);
  const isWhole = rows <= fewRows;
  const { first, last, anchor, anchorTop } = wrappedWindow({ rows, scrollTop, viewHeight });
  const [from, to] = isWhole ? [0, rows] : [first, last];
  useEffect(() => store.want(from, to), [store, from, to, rows]);
  useLayoutEffect(() => {
    const element = drawn.current;
    if (element === null || isWhole) return;
    let above = 0;
    for (const [index, child] of [...element.children].entries()) {
      const part = Math.min(1, Math.max(0, anchor - first - index));
      above += part * child.getBoundingClientRect().height;
    }
    element.style.transform = `translateY(${scrollTop + anchorTop - above}px)`;
  });
  const look = isWhole ? 'is-wrapped is-whole' : 'is-wrapped';
  return (
    <div ref={drawn} className={`log-rows ${look}`}>
      {rowsOf(props, from, to)}
    </div>
  );
}

function rowsOf(props: ViewProps, first: number, last: number): ReactNode[] {
  const { store, marked, found, areTimesShown, arePlatformsShown, addressOf, onMark } = props;
  return Array.from({ length: Math.max(0, last - first) }, (_, index) => {
    const line = store.row(first + index);
    return (
      <LogRow
        key={first + index}
        line={line}
        isMarked={line !== undefined && marked !== null && line.line >= marked.from && line.line <= marked.to}
        isFound={line !== undefined && line.line === found}
        isPlatformShown={arePlatformsShown}
        isTimeShown={areTimesShown}
        address={line === undefined ? '' : addressOf(line.line)}
        onMark={onMark}
      />
    );
  });
}

function useScroll(view: RefObject<HTMLDivElement | null>): Scroll {
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
): { isFollowing: boolean; unseen: number; jump: () => void; stay: () => void } {
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
  // The browser tells of a scroll later: a line that comes before it would take the reader to the end again.
  const stay = useCallback(() => setFollowing(false), []);
  return { isFollowing, unseen: Math.max(0, rows - seen), jump, stay };
}

/** Brings the line of the address or of the search into view, once for each. */
function useBringIntoView(
  view: RefObject<HTMLDivElement | null>,
  {
    store,
    rows,
    line,
    isWrapped,
    onBring,
  }: { store: LogStore; rows: number; line: number | null; isWrapped: boolean; onBring: () => void },
): void {
  const brought = useRef<number | null>(null);
  useEffect(() => {
    const element = view.current;
    if (line === null) brought.current = null;
    if (element === null || line === null || line === brought.current || rows === 0) return;
    brought.current = line;
    onBring();
    const row = store.rowOfLine(line);
    const { scrollTop, clientHeight: viewHeight } = element;
    const { first, last, top } = logWindow({ rows, scrollTop, viewHeight });
    const offset = top + (row - first) * rowHeight - scrollTop;
    const isInView = !isWrapped && row >= first && row < last && offset >= 0 && offset < viewHeight - rowHeight;
    const toRow = isWrapped ? wrappedScrollTop : scrollTopOfRow;
    if (!isInView) element.scrollTo({ top: toRow({ rows, row, viewHeight }) });
  }, [view, store, rows, line, isWrapped, onBring]);
}

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
