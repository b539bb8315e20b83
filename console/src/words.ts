import type { Reason } from '../../domain/errors.ts';
import { ApiProblem } from './api-problem.ts';
import { messages } from './messages/index.ts';

/** What an error panel says: what happened, the detail, and the id to quote. */
export interface WordedProblem {
  readonly title: string;
  readonly detail: string;
  readonly requestId: string | null;
}

/** Words an error of the API; the one place that does. */
export function wordProblem(error: unknown, title: string = messages.error.title): WordedProblem {
  if (!(error instanceof ApiProblem)) {
    return { title, detail: error instanceof Error ? error.message : String(error), requestId: null };
  }
  const { problem } = error;
  if (error.status === 0) return { title, detail: messages.error.offline, requestId: null };
  const needed = problem.requiredAction === undefined ? '' : ` ${messages.error.needs(problem.requiredAction)}`;
  const detail = `${problem.detail ?? problem.title ?? messages.error.status(error.status)}${needed}`;
  return { title, detail, requestId: problem.requestId ?? null };
}

/** Why nothing can be offered to pick from; typing is always possible. */
export function wordUnasked(error: Error): string {
  const isAway = !(error instanceof ApiProblem) || error.status === 0 || error.status >= 500;
  return isAway ? messages.source.picker.away : wordProblem(error).detail;
}

/** The sentence of a reason, empty without one. English is what the API sends. */
export function wordReason(reason: Reason | null): string {
  return reason?.text ?? '';
}
