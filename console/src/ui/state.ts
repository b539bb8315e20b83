import type { RunResult, RunStatus, StepState } from '../../../domain/record.ts';
import type { DeliveryStatus } from '../../../domain/trigger.ts';
import { messages } from '../messages/index.ts';

/** The six colours a state can have; each is a pair of custom properties in `theme/tokens.css`. */
export type Tone = 'success' | 'failed' | 'denied' | 'running' | 'waiting' | 'quiet';

export type StateIcon = 'success' | 'failed' | 'denied' | 'running' | 'waiting' | 'queued' | 'canceled' | 'skipped';

/** How a state looks. A new state does not compile without its row. */
export interface Look {
  readonly icon: StateIcon;
  readonly word: string;
  readonly tone: Tone;
}

export const stepLooks: Record<StepState, Look> = {
  waiting: { icon: 'waiting', word: messages.state.waiting, tone: 'waiting' },
  running: { icon: 'running', word: messages.state.running, tone: 'running' },
  success: { icon: 'success', word: messages.state.success, tone: 'success' },
  failed: { icon: 'failed', word: messages.state.failed, tone: 'failed' },
  denied: { icon: 'denied', word: messages.state.denied, tone: 'denied' },
  canceled: { icon: 'canceled', word: messages.state.canceled, tone: 'quiet' },
  skipped: { icon: 'skipped', word: messages.state.skipped, tone: 'quiet' },
};

export const resultLooks: Record<RunResult, Look> = {
  success: { icon: 'success', word: messages.state.success, tone: 'success' },
  failed: { icon: 'failed', word: messages.state.failed, tone: 'failed' },
  denied: { icon: 'denied', word: messages.state.denied, tone: 'denied' },
  canceled: { icon: 'canceled', word: messages.state.canceled, tone: 'quiet' },
};

export const statusLooks: Record<RunStatus, Look> = {
  queued: { icon: 'queued', word: messages.state.queued, tone: 'waiting' },
  running: { icon: 'running', word: messages.state.running, tone: 'running' },
  canceling: { icon: 'running', word: messages.state.canceling, tone: 'quiet' },
  complete: { icon: 'success', word: messages.state.complete, tone: 'success' },
  canceled: { icon: 'canceled', word: messages.state.canceled, tone: 'quiet' },
};

export const deliveryLooks: Record<DeliveryStatus, Look> = {
  waiting: { icon: 'waiting', word: messages.trigger.status.waiting, tone: 'waiting' },
  sending: { icon: 'running', word: messages.trigger.status.sending, tone: 'running' },
  retrying: { icon: 'queued', word: messages.trigger.status.retrying, tone: 'running' },
  delivered: { icon: 'success', word: messages.trigger.status.delivered, tone: 'success' },
  failed: { icon: 'failed', word: messages.trigger.status.failed, tone: 'failed' },
  untriggered: { icon: 'skipped', word: messages.trigger.status.untriggered, tone: 'quiet' },
  canceled: { icon: 'canceled', word: messages.trigger.status.canceled, tone: 'quiet' },
};

/** A run's result once it has one, else its status. */
export function runLook(run: { readonly status: RunStatus; readonly result: RunResult | null }): Look {
  return run.result === null ? statusLooks[run.status] : resultLooks[run.result];
}
