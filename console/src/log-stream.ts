import type { LogLine } from './api-types.ts';
import type { LogListener } from './log-store.ts';

/** Follows a log by server-sent events. The browser resumes with `Last-Event-ID`; `event: end` closes it. */
export function openLogStream(url: string, listener: LogListener): () => void {
  const source = new EventSource(url, { withCredentials: true });
  const onLines = ({ data }: MessageEvent<string>): void => {
    const lines = parseLogLines(data);
    if (lines.length > 0) listener.onLines(lines);
  };
  source.addEventListener('open', () => listener.onStatus('live'));
  source.addEventListener('message', onLines);
  source.addEventListener('lines', onLines);
  source.addEventListener('end', () => {
    source.close();
    listener.onStatus('ended');
  });
  source.addEventListener('error', () => listener.onStatus('lost'));
  return () => source.close();
}

/** The lines of one event: an array, an object with `items`, or one line. */
export function parseLogLines(data: string): readonly LogLine[] {
  try {
    const parsed: LogLine | readonly LogLine[] | { items: readonly LogLine[] } = JSON.parse(data);
    if ('items' in parsed) return parsed.items;
    return 'line' in parsed ? [parsed] : parsed;
  } catch {
    return [];
  }
}
