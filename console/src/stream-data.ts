import type { LogLine } from './api-types.ts';

/** One change of a run: refetch it. `version` grows with every change of that run. */
export interface StateEvent {
  readonly topic: string;
  readonly type: string;
  readonly id: string;
  readonly version: number;
}

/** The event in a message of the state stream, or undefined when it is none of ours. */
export function parseStateEvent(data: string): StateEvent | undefined {
  try {
    const event: Partial<StateEvent> = JSON.parse(data);
    if (typeof event.id !== 'string' || typeof event.type !== 'string') return undefined;
    return { topic: event.topic ?? '', type: event.type, id: event.id, version: event.version ?? 0 };
  } catch {
    return undefined;
  }
}

/** The lines of one message of a log stream. */
export function parseLogLines(data: string): readonly LogLine[] {
  try {
    const { items }: { items?: readonly LogLine[] } = JSON.parse(data);
    return items ?? [];
  } catch {
    return [];
  }
}

/** How far a step of a build has come; never a line of the log. */
export interface LogProgress {
  readonly platform: string | null;
  /** The number its lines carry. */
  readonly step: number;
  readonly text: string;
}

/** The progress in a message of a log stream, or undefined when it is none. */
export function parseLogProgress(data: string): LogProgress | undefined {
  try {
    const { platform = null, step, text }: Partial<LogProgress> = JSON.parse(data);
    return typeof step === 'number' && typeof text === 'string' ? { platform, step, text } : undefined;
  } catch {
    return undefined;
  }
}
