import { lazy, Suspense } from 'react';
import type { ReactNode } from 'react';
import type { StepName } from '../../../domain/record.ts';
import type { Run, RunRecord, Step, StepChild } from '../api-types.ts';
import { messages } from '../messages/index.ts';
import { stepSummary } from '../step-summary.ts';
import { ChevronIcon } from '../ui/icons.tsx';
import { LoadingPanel } from '../ui/panels.tsx';
import { StateBadge, StateMark } from '../ui/state-badge.tsx';
import { stepLooks } from '../ui/state.ts';
import { formatDuration } from '../ui/format.ts';
import { Elapsed, useNow } from '../ui/time.tsx';
import { wordReason } from '../words.ts';
import { PushPanel } from './push.tsx';
import { ReplicatePanel } from './replicate.tsx';
import { TriggerPanel } from './trigger.tsx';

const BuildPanel = lazy(() => import('./build.tsx').then((module) => ({ default: module.BuildPanel })));
const ScanPanel = lazy(() => import('./scan.tsx').then((module) => ({ default: module.ScanPanel })));

interface StepsProps {
  readonly run: RunRecord;
  readonly open: StepName | undefined;
  readonly onToggle: (name: StepName) => void;
}

/** The steps in chain order; one can be open. */
export function RecordSteps({ run, open, onToggle }: StepsProps): ReactNode {
  return (
    <section aria-label={messages.record.steps} className="record-steps">
      <ol className="steps">
        {run.steps.map((step) => (
          <StepItem key={step.name} run={run} step={step} isOpen={open === step.name} onToggle={onToggle} />
        ))}
      </ol>
    </section>
  );
}

interface StepItemProps {
  readonly run: RunRecord;
  readonly step: Step;
  readonly isOpen: boolean;
  readonly onToggle: (name: StepName) => void;
}

function StepItem({ run, step, isOpen, onToggle }: StepItemProps): ReactNode {
  const look = stepLooks[step.state];
  const panelId = `step-${step.name}`;
  const isBad = look.tone === 'failed' || look.tone === 'denied';
  return (
    <li className={`step tone-${look.tone} ${isOpen ? 'is-open' : ''}`}>
      <h2>
        <button
          type="button"
          className="step-head"
          aria-expanded={isOpen}
          aria-controls={panelId}
          onClick={() => onToggle(step.name)}
        >
          <StateMark look={look} label={messages.step[step.name]} />
          <span className="step-name">{messages.step[step.name]}</span>
          <span className={`step-summary ${isBad ? `tone-${look.tone}` : ''}`}>{stepSummary(step)}</span>
          <StepTimeline run={run} step={step} />
          <StepTime step={step} />
          <ChevronIcon />
        </button>
      </h2>
      {step.children.length > 0 && <StepChildren step={step} />}
      {isOpen && (
        <div className="step-panel" id={panelId}>
          <Suspense fallback={<LoadingPanel rows={5} label={messages.step[step.name]} />}>
            <StepPanel run={run} step={step} />
          </Suspense>
        </div>
      )}
    </li>
  );
}

function StepTime({ step }: { step: Step }): ReactNode {
  return (
    <span className="step-time">
      {step.startedAt !== null && <Elapsed from={step.startedAt} to={step.endedAt} />}
      {step.attempts > 0 && <span className="muted small">{messages.record.retries(step.attempts)}</span>}
      {step.queuedMs !== null && step.queuedMs >= 1_000 && (
        <span className="muted small">{messages.record.queuedFor(formatDuration(step.queuedMs))}</span>
      )}
    </span>
  );
}

/** When the step ran within the whole run, as a bar. The times beside it say the same in words. */
function StepTimeline({ run, step }: { run: Run; step: Step }): ReactNode {
  const now = useNow(run.endedAt === null ? 1_000 : null);
  const start = Date.parse(run.startedAt ?? run.queuedAt);
  const end = run.endedAt === null ? now : Date.parse(run.endedAt);
  const total = Math.max(1, end - start);
  const from = step.startedAt === null ? null : Date.parse(step.startedAt);
  const to = step.endedAt === null ? end : Date.parse(step.endedAt);
  return (
    <svg className="timeline" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
      <rect className="timeline-track" x="0" y="3.5" width="100" height="1" />
      {from !== null && (
        <rect
          x={((from - start) / total) * 100}
          y="1"
          width={Math.max(1, ((to - from) / total) * 100)}
          height="6"
          rx="1"
        />
      )}
    </svg>
  );
}

/** Architectures, destinations or triggers, each with its state, time and what it waits for. */
function StepChildren({ step }: { step: Step }): ReactNode {
  const said = stepSummary(step);
  return (
    <ul className="step-children">
      {step.children.map((child) => (
        <li key={child.key}>
          <StateMark look={stepLooks[child.state]} label={childName(child)} />
          <span className="mono">{childName(child)}</span>
          {child.startedAt !== null && (
            <span className="muted">
              <Elapsed from={child.startedAt} to={child.endedAt} />
            </span>
          )}
          <CachedBadge child={child} />
          {child.reason !== null && wordReason(child.reason) !== said && (
            <span className="child-reason">{wordReason(child.reason)}</span>
          )}
        </li>
      ))}
    </ul>
  );
}

/** How much of an architecture's build came from the cache. */
function CachedBadge({ child: { result } }: { child: StepChild }): ReactNode {
  if (typeof result !== 'object' || result === null || !('cachedSteps' in result)) return null;
  const { cachedSteps } = result;
  if (typeof cachedSteps !== 'number' || cachedSteps === 0) return null;
  const steps = 'steps' in result && typeof result.steps === 'number' ? result.steps : null;
  return (
    <span className="badge">
      {steps === null ? messages.build.cachedSteps(cachedSteps) : messages.build.cachedOf(cachedSteps, steps)}
    </span>
  );
}

/** A trigger's child is known by its id and shown by its name. */
function childName(child: StepChild): string {
  const { result } = child;
  if (typeof result === 'object' && result !== null && 'name' in result && typeof result.name === 'string')
    return result.name;
  return child.key;
}

function StepPanel({ run, step }: { run: RunRecord; step: Step }): ReactNode {
  if (step.state === 'waiting') return <p className="muted">{messages.record.notStarted}</p>;
  // A step with nothing to do may still tell of what did not match.
  if (step.state === 'skipped' && step.children.length === 0) {
    return (
      <p className="muted">
        <StateBadge look={stepLooks.skipped} /> {step.why === null ? '' : messages.why[step.why]}
      </p>
    );
  }
  switch (step.name) {
    case 'build':
      return <BuildPanel run={run} step={step} />;
    case 'push':
      return <PushPanel step={step} fence={run.tagFence} />;
    case 'scan':
      return <ScanPanel step={step} fence={run.tagFence} />;
    case 'replicate':
      return <ReplicatePanel step={step} />;
    case 'trigger':
      return <TriggerPanel step={step} />;
  }
}
