import { Context } from '@temporalio/activity';

/** Cancellation comes as the answer to a heartbeat: with this pace it is heard within a second and a half. */
const beatMs = 500;

/** Runs work that may be silent for long, beating beside it. `details` say how far it is, and hold no secret. */
export async function heartbeating<Result>(
  work: (signal: AbortSignal) => Promise<Result>,
  details: () => unknown = () => undefined,
): Promise<Result> {
  const context = Context.current();
  const beat = setInterval(() => context.heartbeat(details()), beatMs);
  try {
    return await work(context.cancellationSignal);
  } finally {
    clearInterval(beat);
  }
}
