import { isErrorLine } from '../../domain/log-text.ts';
import type { LogLine, LogPage } from './api-types.ts';
import { LineSelection } from './log-lines.ts';
import type { LineRange } from './log-lines.ts';
import type { LogProgress } from './stream-data.ts';

/** Lines fetched at once, and how many such chunks are kept; older ones are fetched again. */
const chunkLines = 1_000;
const chunksKept = 200;

export type LogStatus = 'loading' | 'live' | 'lost' | 'ended' | 'failed';

/** `limit` lines after line `offset`, or the last `tail` ones. */
export type LogRange = { readonly offset: number; readonly limit: number } | { readonly tail: number };

/** What of a log is shown: all of it, one architecture's lines, or the lines that tell of an error. */
export type LogView =
  | { readonly kind: 'all' }
  | { readonly kind: 'platform'; readonly platform: string }
  | { readonly kind: 'errors' };

/** Where a log comes from: ranges by request, the tail by stream. */
export interface LogSource {
  readonly page: (range: LogRange, signal: AbortSignal) => Promise<LogPage>;
  /** Where the lines of a part of the log stand. */
  readonly ranges: (view: LogView, signal: AbortSignal) => Promise<readonly LineRange[]>;
  /** Streams the lines after `after`; returns how to stop. */
  readonly stream: (after: number, listener: LogListener) => () => void;
}

export interface LogListener {
  readonly onLines: (lines: readonly LogLine[]) => void;
  readonly onProgress: (progress: LogProgress) => void;
  readonly onStatus: (status: 'live' | 'lost' | 'ended') => void;
}

/**
 * The log of one build as the viewer sees it: rows by number, fetched in chunks as they come into view, the tail live. With a part
 * of it chosen, rows are that part's lines alone: where they stand is known at once, what they say is fetched as it is looked at.
 */
export class LogStore {
  #source: LogSource;
  #chunks = new Map<number, (LogLine | undefined)[]>();
  #loading = new Set<number>();
  #listeners = new Set<() => void>();
  #stop = new AbortController();
  #closeStream: () => void = () => undefined;
  #lines = 0;
  #status: LogStatus = 'loading';
  #isRemoved = false;
  #problem: unknown = null;
  #version = 0;
  #view: LogView = { kind: 'all' };
  #selection: LineSelection | null = null;
  #progress: LogProgress | null = null;

  constructor(source: LogSource) {
    this.#source = source;
  }

  /** Fetches the last lines, then follows the log unless it has ended. */
  async start(): Promise<void> {
    this.#stop = new AbortController();
    try {
      const page = await this.#source.page({ tail: chunkLines }, this.#stop.signal);
      this.#take(page.items);
      this.#lines = Math.max(this.#lines, page.lines);
      this.#isRemoved = page.removed;
      this.#setStatus(page.ended ? 'ended' : 'live');
      if (!page.ended) this.#follow();
    } catch (error) {
      this.#fail(error);
    }
  }

  close(): void {
    this.#stop.abort();
    this.#closeStream();
  }

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Grows with every change; what `useSyncExternalStore` compares. */
  version = (): number => this.#version;

  get status(): LogStatus {
    return this.#status;
  }

  /** Whether the lines are gone because their time is over. */
  get isRemoved(): boolean {
    return this.#isRemoved;
  }

  get problem(): unknown {
    return this.#problem;
  }

  /** Lines of the whole log. */
  get lines(): number {
    return this.#lines;
  }

  /** Rows to show: all lines, or the chosen part's. */
  get rows(): number {
    return this.#selection?.rows ?? this.#lines;
  }

  get view(): LogView {
    return this.#view;
  }

  /** How far a step that is under way has come; null once a line says more. */
  get progress(): LogProgress | null {
    return this.#progress;
  }

  row(index: number): LogLine | undefined {
    const line = this.#lineOf(index);
    if (line === undefined) return undefined;
    return this.#chunks.get(Math.floor((line - 1) / chunkLines))?.[(line - 1) % chunkLines];
  }

  /** The row that shows a line, or the nearest one after it. */
  rowOfLine(line: number): number {
    return this.#selection?.rowOf(line) ?? Math.min(Math.max(0, line - 1), Math.max(0, this.#lines - 1));
  }

  /** Fetches what is missing of the rows in view. */
  want(first: number, last: number): void {
    const chunks = new Set<number>();
    for (let row = first; row < last; row += 1) {
      const line = this.#lineOf(row);
      if (line !== undefined) chunks.add(Math.floor((line - 1) / chunkLines));
    }
    if (!this.#isRemoved) for (const chunk of chunks) void this.#loadChunk(chunk);
  }

  /** Lines `from` to `to` with what they say, however many; for copying. */
  async read(from: number, to: number): Promise<LogLine[]> {
    const all: LogLine[] = [];
    while (from + all.length <= to) {
      const offset = from - 1 + all.length;
      const limit = Math.min(5 * chunkLines, to - offset);
      // oxlint-disable-next-line no-await-in-loop -- a page begins where the one before it ended
      const { items } = await this.#source.page({ offset, limit }, this.#stop.signal);
      if (items.length === 0) break;
      all.push(...items);
    }
    return all;
  }

  /** Shows a part of the log, or all of it again. */
  async choose(view: LogView): Promise<void> {
    this.#view = view;
    this.#selection = view.kind === 'all' ? null : new LineSelection([]);
    this.#changed();
    if (view.kind === 'all') return;
    try {
      const ranges = await this.#source.ranges(view, this.#stop.signal);
      if (this.#view !== view) return;
      const known = this.#selection;
      this.#selection = new LineSelection(ranges);
      // Lines that came while the ranges were asked for.
      if (known !== null) for (let row = 0; row < known.rows; row += 1) this.#select(known.lineOf(row) ?? 0);
      this.#changed();
    } catch (error) {
      this.#view = { kind: 'all' };
      this.#selection = null;
      this.#fail(error);
    }
  }

  #lineOf(row: number): number | undefined {
    if (this.#selection !== null) return this.#selection.lineOf(row);
    return row >= 0 && row < this.#lines ? row + 1 : undefined;
  }

  #select(line: number): void {
    this.#selection?.add({ line, lines: 1 });
  }

  #isChosen({ platform, text }: LogLine): boolean {
    return this.#view.kind === 'platform' ? platform === this.#view.platform : isErrorLine(text);
  }

  async #loadChunk(chunk: number): Promise<void> {
    if (this.#loading.has(chunk) || this.#isComplete(chunk)) return;
    this.#loading.add(chunk);
    try {
      const page = await this.#source.page({ offset: chunk * chunkLines, limit: chunkLines }, this.#stop.signal);
      this.#take(page.items);
      this.#changed();
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#loading.delete(chunk);
    }
  }

  #isComplete(chunk: number): boolean {
    const kept = this.#chunks.get(chunk);
    if (kept === undefined) return false;
    const expected = Math.min(chunkLines, this.#lines - chunk * chunkLines);
    for (let index = 0; index < expected; index += 1) if (kept[index] === undefined) return false;
    return true;
  }

  #follow(): void {
    this.#closeStream = this.#source.stream(this.#lines, {
      onLines: (lines) => {
        this.#take(lines);
        this.#progress = null;
        if (this.#selection !== null) for (const line of lines) if (this.#isChosen(line)) this.#select(line.line);
        this.#changed();
      },
      onProgress: (progress) => {
        this.#progress = progress;
        this.#changed();
      },
      onStatus: (status) => this.#setStatus(status),
    });
  }

  #take(lines: readonly LogLine[]): void {
    for (const line of lines) {
      const chunk = Math.floor((line.line - 1) / chunkLines);
      const kept = this.#chunks.get(chunk) ?? [];
      kept[(line.line - 1) % chunkLines] = line;
      // Written last is kept longest.
      this.#chunks.delete(chunk);
      this.#chunks.set(chunk, kept);
      this.#lines = Math.max(this.#lines, line.line);
    }
    for (const chunk of this.#chunks.keys()) {
      if (this.#chunks.size <= chunksKept) break;
      this.#chunks.delete(chunk);
    }
  }

  #setStatus(status: LogStatus): void {
    this.#status = status;
    if (status === 'ended') {
      this.#progress = null;
      this.#closeStream();
    }
    this.#changed();
  }

  #fail(error: unknown): void {
    if (this.#stop.signal.aborted) return;
    this.#problem = error;
    this.#status = 'failed';
    this.#changed();
  }

  #changed(): void {
    this.#version += 1;
    for (const listener of this.#listeners) listener();
  }
}
