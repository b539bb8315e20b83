import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { CompleteAsyncError } from '@temporalio/activity';
import type { ActivityExecuteInput, ActivityInboundCallsInterceptor, Next } from '@temporalio/worker';

const secretPatterns: readonly (readonly [RegExp, string])[] = [
  [/(\w+:\/\/)[^\s/@:]+:[^\s/@]+@/g, '$1…@'],
  [/(authorization:?\s*)(?:basic|bearer)\s+[^\s'"]+/gi, '$1…'],
  [/((?:password|passwd|token|secret|signature|access_key)["']?\s*[=:]\s*["']?)[^\s'"&,;]{4,}/gi, '$1…'],
  [/\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*/g, '…'],
  [/\b(?:whsec|slp)_[A-Za-z0-9+/_=-]{8,}/g, '…'],
];
const messageLimit = 1024;

/** Takes out what looks like a credential, and cuts to 1 KB: the text goes into Temporal's history for everyone to read. */
export function redact(text: string): string {
  const clean = secretPatterns.reduce(
    (redacted, [pattern, replacement]) => redacted.replaceAll(pattern, replacement),
    text,
  );
  return clean.length <= messageLimit ? clean : `${clean.slice(0, messageLimit - 1)}…`;
}

/**
 * Rewrites every error an activity throws before it reaches history: message, stack and cause. Cancellation passes unchanged,
 * since an attempt counts as canceled only if that class leaves the activity.
 */
export class RedactingInterceptor implements ActivityInboundCallsInterceptor {
  readonly #onSurprise: (error: unknown) => void;

  /** `onSurprise` hears of errors that are no outcome of an activity, whole: only the worker's own log may show their stack. */
  constructor(onSurprise: (error: unknown) => void) {
    this.#onSurprise = onSurprise;
  }

  async execute(input: ActivityExecuteInput, next: Next<ActivityInboundCallsInterceptor, 'execute'>): Promise<unknown> {
    try {
      return await next(input);
    } catch (error) {
      if (isPassedOn(error)) throw error;
      if (!(error instanceof ApplicationFailure)) this.#onSurprise(error);
      throw redactError(error);
    }
  }
}

function isPassedOn(error: unknown): boolean {
  if (error instanceof CancelledFailure || error instanceof CompleteAsyncError) return true;
  return error instanceof Error && error.name === 'AbortError';
}

function redactError(error: unknown): ApplicationFailure {
  if (error instanceof ApplicationFailure) {
    const { type, nonRetryable, details, nextRetryDelay, category } = error;
    return ApplicationFailure.create({
      message: redact(error.message),
      ...given({ type, nonRetryable, details, nextRetryDelay, category }),
    });
  }
  const { name, message } = error instanceof Error ? error : { name: 'Error', message: String(error) };
  return ApplicationFailure.create({ message: redact(message), type: name });
}

/** Without what is not there: to the SDK an undefined option is not the same as none. */
function given<Options extends object>(options: Options): { [Name in keyof Options]?: NonNullable<Options[Name]> } {
  const present: { [Name in keyof Options]?: NonNullable<Options[Name]> } = {};
  for (const name in options) {
    const value = options[name];
    if (value !== undefined && value !== null) present[name] = value;
  }
  return present;
}
