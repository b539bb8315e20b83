import type { LogListener } from './log-store.ts';
import { parseLogLines, parseLogProgress } from './stream-data.ts';

/** Follows a log by server-sent events. The browser resumes with `Last-Event-ID`; `event: end` closes it. */
export function openLogStream(url: string, listener: LogListener): () => void {
  const source = new EventSource(url, { withCredentials: true });
  const onLines = ({ data }: MessageEvent<string>): void => {
    const lines = parseLogLines(data);
    if (lines.length > 0) listener.onLines(lines);
  };
  source.addEventListener('open', () => listener.onStatus('live'));
  source.addEventListener('message', onLines);
  source.addEventListener('progress', ({ data }: MessageEvent<string>) => {
    const progress = parseLogProgress(data);
    if (progress !== undefined) listener.onProgress(progress);
  });
  source.addEventListener('end', () => {
    source.close();
    listener.onStatus('ended');
  });
  source.addEventListener('error', () => listener.onStatus('lost'));
  return () => source.close();
}
