/** Repeats some work for as long as the stack runs, never twice at once; the answer ends it and waits for what is under way. */
export function refreshing(
  work: () => Promise<void>,
  { everyMs, onProgress }: { readonly everyMs: number; readonly onProgress: (line: string) => void },
): () => Promise<void> {
  let underWay: Promise<void> | undefined;
  const timer = setInterval(() => {
    underWay ??= work()
      .catch((error: unknown) => onProgress(error instanceof Error ? error.message : 'The refresh failed.'))
      .finally(() => {
        underWay = undefined;
      });
  }, everyMs);
  timer.unref();
  return async () => {
    clearInterval(timer);
    await underWay;
  };
}
