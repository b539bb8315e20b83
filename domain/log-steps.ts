import type { Architecture } from './build.ts';

/** How one step of a build stands; `cached` is done, without work. */
export const logStepStates = ['running', 'done', 'cached', 'failed', 'canceled'] as const;
export type LogStepState = (typeof logStepStates)[number];

/** A line with which a step begins, or ends in some way. `step` is the number its lines carry: `#7`. */
export type LogStepMark =
  | { readonly kind: 'step'; readonly step: number; readonly name: string }
  | {
      readonly kind: 'end';
      readonly step: number;
      readonly state: Exclude<LogStepState, 'running'>;
      readonly durationMs: number | null;
    };

/** A mark where it stands: the place of its line within its segment, and the line's time. */
export type LogMark = LogStepMark & { readonly at: number; readonly time: string };

/** One step as BuildKit ran it for one architecture (docs/product.md, section 7, "Log"). `line` and `endLine` are numbers of the log. */
export interface LogStep {
  readonly platform: Architecture | null;
  readonly number: number;
  readonly name: string;
  readonly state: LogStepState;
  readonly line: number;
  /** null while it runs. */
  readonly endLine: number | null;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly durationMs: number | null;
}

/** The marks of one segment. */
export interface MarkedSegment {
  readonly firstLine: number;
  readonly platform: Architecture | null;
  readonly marks: readonly LogMark[];
}

/**
 * The steps of a log in the order they began. A step that begins anew (a second attempt) is another step; of several ends of one
 * step, as pulls have them, the last counts.
 */
export function stepsOfLog(segments: readonly MarkedSegment[]): readonly LogStep[] {
  const steps: LogStep[] = [];
  const newest = new Map<string, number>();
  for (const { firstLine, platform, marks } of segments) {
    for (const mark of marks) {
      const key = `${platform ?? ''} ${mark.step}`;
      const line = firstLine + mark.at;
      const place = newest.get(key);
      if (mark.kind === 'step') {
        newest.set(key, steps.push(begunStep(mark, { platform, line })) - 1);
      } else if (place !== undefined) {
        const step = steps[place];
        const { state, durationMs } = mark;
        if (step !== undefined) steps[place] = { ...step, state, durationMs, endLine: line };
      }
    }
  }
  return steps;
}

function begunStep(
  { step, name, time }: Extract<LogMark, { kind: 'step' }>,
  { platform, line }: Pick<LogStep, 'platform' | 'line'>,
): LogStep {
  const isOpen = { state: 'running', endLine: null, durationMs: null } as const;
  return { platform, number: step, name, line, startedAt: time, ...isOpen };
}
