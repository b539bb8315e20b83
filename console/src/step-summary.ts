import type { DeliveryStatus } from '../../domain/trigger.ts';
import type { ScanResult, Step } from './api-types.ts';
import { messages } from './messages/index.ts';
import { formatBytes, shortDigest } from './ui/format.ts';
import { wordReason } from './words.ts';

/** The one line a closed step shows: why it was skipped, why it ended badly or waits, else what it did. */
export function stepSummary(step: Step): string {
  if (step.state === 'skipped') return step.why === null ? '' : messages.why[step.why];
  if (step.state === 'failed' || step.state === 'denied' || step.state === 'canceled') return wordReason(step.reason);
  const waiting = step.children.find((child) => child.state === 'running' && child.reason !== null);
  if (waiting !== undefined) return wordReason(waiting.reason);
  return resultSummary(step) || wordReason(step.reason);
}

function resultSummary(step: Step): string {
  switch (step.name) {
    case 'build':
      return buildSummary(step);
    case 'push':
      return step.result === null
        ? ''
        : join(
            shortDigest(step.result.digest),
            step.result.isHeld ? messages.push.held : messages.push.movedTags(step.result.tags.length),
          );
    case 'scan':
      return step.result === null ? '' : scanSummary(step.result);
    case 'replicate':
      return step.children.length === 0
        ? ''
        : join(
            messages.replicate.destinations(step.children.length),
            step.result === null ? '' : messages.replicate.sentBytes(formatBytes(step.result.bytes)),
          );
    case 'trigger':
      return step.result === null ? '' : triggerSummary(step.result.deliveries, step.result.untriggered);
  }
}

function buildSummary({ children, result }: Extract<Step, { name: 'build' }>): string {
  if (children.length === 0) return '';
  const missing = result?.failed?.length ?? 0;
  const steps = children.reduce((sum, child) => sum + (child.result?.steps ?? 0), 0);
  const cached = children.reduce((sum, child) => sum + (child.result?.cachedSteps ?? 0), 0);
  const fromCache = steps === 0 ? messages.build.cachedSteps(cached) : messages.build.cachedOf(cached, steps);
  return join(
    messages.build.architectures(children.length),
    missing === 0 ? '' : messages.build.missing(missing),
    cached === 0 ? '' : fromCache,
  );
}

function scanSummary(result: ScanResult): string {
  const found = severityWords(result);
  const sample = result.engines.some((engine) => engine.isSampleData) ? messages.scan.sample : '';
  const isClean = result.verdict === 'passed' && found === '';
  const moved = result.tags.length === 0 ? '' : messages.push.movedTags(result.tags.length);
  return join(messages.scan.verdict[result.verdict], isClean ? messages.scan.clean : found, moved, sample);
}

/** `2 critical, 14 high`: severities that were found, worst first. */
function severityWords({ counts }: Pick<ScanResult, 'counts'>): string {
  const { critical, high, medium, low, unknown } = counts;
  const all = { critical, high, medium, low, unknown };
  return Object.entries(all)
    .filter(([, number]) => number > 0)
    .map(([severity, number]) => `${number} ${severity}`)
    .join(', ');
}

function triggerSummary(deliveries: readonly { readonly status: DeliveryStatus }[], untriggered: number): string {
  const delivered = deliveries.filter(({ status }) => status === 'delivered').length;
  if (deliveries.length === 0 && untriggered === 0) return messages.trigger.noDeliveries;
  return join(
    messages.trigger.delivered(delivered),
    untriggered === 0 ? '' : messages.trigger.untriggered(untriggered),
  );
}

function join(...parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join(' · ');
}

/** The step that deserves the reader's eye when the page opens: what ended badly, else what runs. */
export function stepInFocus(steps: readonly Step[]): Step['name'] | undefined {
  const bad = steps.find(({ state }) => state === 'failed' || state === 'denied');
  return (bad ?? steps.find(({ state }) => state === 'running'))?.name;
}
