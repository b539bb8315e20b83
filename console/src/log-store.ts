import type { LogLine, LogPage } from './api-types.ts';

/** Lines fetched at once, and how many such chunks are kept; older ones are fetched again. */
const chunkLines = 1_000;
const chunksKept = 200;

export type LogStatus = 'loading' | 'live' | 'lost' | 'ended' | 'failed';

/** `limit` lines after line `offset`, with a platform only its own. */
export interface LogRange {
  readonly offset: number;
  readonly limit: number;
  readonly platform?: string;
}

/** Where a log comes from: ranges by request, the tail by stream. */
export interface LogSource {
  readonly page: (range: LogRange, signal: AbortSignal) => Promise<LogPage>;
  /** Streams the lines after `after`; returns how to stop. */
  readonly stream: (after: number, listener: LogListener) => () => void;
}

export interface LogListener {
  readonly onLines: (lines: readonly LogLine[]) => void;
  readonly onStatus: (status: 'live' | 'lost' | 'ended') => void;
}

/**
 * The log of one build as the viewer sees it: rows by number, fetched in chunks as they come into view, the tail live. With a
 * platform chosen, rows are that platform's lines alone, gathered from the whole log.
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
  #problem: unknown = null;
  #version = 0;
  #platform: string | null = null;
  #matching: LogLine[] = [];
  #gathered = 0;

  constructor(source: LogSource) {
    this.#source = source;
  }

  /** Fetches the first lines, then follows the log unless it has ended. */
  async start(): Promise<void> {
    this.#stop = new AbortController();
    try {
      const page = await this.#source.page({ offset: 0, limit: chunkLines }, this.#stop.signal);
      this.#take(page.items);
      this.#lines = Math.max(this.#lines, page.lines);
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

  get problem(): unknown {
    return this.#problem;
  }

  /** Lines of the whole log. */
  get lines(): number {
    return this.#lines;
  }

  /** Rows to show: all lines, or the chosen platform's. */
  get rows(): number {
    return this.#platform === null ? this.#lines : this.#matching.length;
  }

  get platform(): string | null {
    return this.#platform;
  }

  row(index: number): LogLine | undefined {
    if (this.#platform !== null) return this.#matching[index];
    return this.#chunks.get(Math.floor(index / chunkLines))?.[index % chunkLines];
  }

  /** The row that shows a line, or the nearest one after it. */
  rowOfLine(line: number): number {
    if (this.#platform === null) return Math.min(Math.max(0, line - 1), Math.max(0, this.#lines - 1));
    const at = this.#matching.findIndex((each) => each.line >= line);
    return at === -1 ? Math.max(0, this.#matching.length - 1) : at;
  }

  /** Fetches what is missing of the rows in view. */
  want(first: number, last: number): void {
    if (this.#platform !== null || last <= first) return;
    for (let chunk = Math.floor(first / chunkLines); chunk <= Math.floor((last - 1) / chunkLines); chunk += 1) {
      void this.#loadChunk(chunk);
    }
  }

  /** Shows one platform's lines alone, gathered page by page; null shows all again. */
  async choosePlatform(platform: string | null): Promise<void> {
    this.#platform = platform;
    this.#matching = [];
    this.#gathered = 0;
    this.#changed();
    while (platform !== null && this.#platform === platform && this.#gathered < this.#lines) {
      // oxlint-disable-next-line no-await-in-loop -- a page begins where the one before it ended
      await this.#gatherPage(platform);
    }
  }

  async #gatherPage(platform: string): Promise<void> {
    const limit = 5 * chunkLines;
    try {
      const { items, lines } = await this.#source.page({ offset: this.#gathered, limit, platform }, this.#stop.signal);
      if (this.#platform !== platform) return;
      this.#gather(items);
      // A page that is not full has looked at every line there was.
      if (items.length < limit) this.#gathered = Math.max(this.#gathered, lines);
      this.#changed();
    } catch (error) {
      this.#platform = null;
      this.#fail(error);
    }
  }

  #gather(lines: readonly LogLine[]): void {
    for (const line of lines) {
      if (line.line <= this.#gathered) continue;
      this.#gathered = line.line;
      if (line.platform === this.#platform) this.#matching.push(line);
    }
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
        // While the gathering is behind, these lines come with its next page.
        if (this.#platform !== null && this.#gathered >= (lines[0]?.line ?? 1) - 1) this.#gather(lines);
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
    if (status === 'ended') this.#closeStream();
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
