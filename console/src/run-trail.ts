import type { RunEvent } from './api-types.ts';
import { messages } from './messages/index.ts';

/** What happened, and what the event says about it. */
export interface WordedEvent {
  readonly what: string;
  readonly detail: string;
}

/** One line of the trail as it is shown. */
export interface TrailEntry extends WordedEvent {
  readonly id: string;
  readonly at: string;
}

/** The whole trail; a sentence that already stands above (a child's, again its step's) is not said again. */
export function wordTrail(events: readonly RunEvent[]): readonly TrailEntry[] {
  const said = new Set<string>();
  return events.toSorted(byTime).map((event) => {
    const { what, detail } = wordEvent(event);
    const isNew = !said.has(detail);
    said.add(detail);
    return { id: event.id, at: event.at, what, detail: isNew ? detail : '' };
  });
}

/** Writes of the Record land in any order. At one moment a step ends before the next begins. */
function byTime(a: RunEvent, b: RunEvent): number {
  return a.at.localeCompare(b.at) || Number(isBeginning(a)) - Number(isBeginning(b));
}

function isBeginning({ type }: RunEvent): boolean {
  return type.endsWith('.running');
}

/** Words one event of a run's trail: `Scan: Blocked`, with the sentence of its reason. An event not known is shown by its type. */
export function wordEvent(event: RunEvent): WordedEvent {
  const { step, key, text } = eventData(event.data);
  const [kind, state] = event.type.split('.');
  const stepWord = find(messages.step, step);
  const stateWord = find(messages.state, state);
  if (kind === 'step' && stepWord !== undefined && stateWord !== undefined) {
    return { what: `${stepWord}: ${stateWord}`, detail: text };
  }
  if (kind === 'child' && stepWord !== undefined && stateWord !== undefined) {
    return { what: `${stepWord} ${key}: ${stateWord}`, detail: text };
  }
  return { what: find(messages.event, event.type) ?? event.type, detail: text };
}

function find(words: Readonly<Record<string, string>>, name: string | undefined): string | undefined {
  return name !== undefined && Object.hasOwn(words, name) ? words[name] : undefined;
}

/** Events come from the outbox as they were written: everything of them is optional. */
function eventData(data: unknown): { step: string; key: string; text: string } {
  const reason = member(data, 'reason');
  return {
    step: text(member(data, 'step')),
    key: text(member(data, 'key')),
    text: text(member(reason, 'text')),
  };
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? Object.entries(value).find(([key]) => key === name)?.[1]
    : undefined;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
