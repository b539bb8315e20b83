import type { ReactNode } from 'react';
import type { LogStep, LogStepState } from '../../../domain/log-steps.ts';
import { messages } from '../messages/index.ts';
import { formatDuration } from '../ui/format.ts';
import { StateMark } from '../ui/state-badge.tsx';
import { stepLooks } from '../ui/state.ts';
import type { Look } from '../ui/state.ts';
import { Elapsed } from '../ui/time.tsx';

const looks: Record<LogStepState, Look> = {
  running: stepLooks.running,
  done: stepLooks.success,
  cached: { ...stepLooks.success, word: messages.log.cached },
  failed: stepLooks.failed,
  canceled: stepLooks.canceled,
};

interface StepsProps {
  readonly steps: readonly LogStep[];
  readonly arePlatformsShown: boolean;
  /** The line the reader is led to. */
  readonly onChoose: (line: number) => void;
}

/** What BuildKit did, step by step: whether it came from the cache, how long it took; each leads to its lines. */
export function BuildLogSteps({ steps, arePlatformsShown, onChoose }: StepsProps): ReactNode {
  const cached = steps.filter(({ state }) => state === 'cached').length;
  return (
    <details className="log-steps">
      <summary>
        {messages.log.steps(steps.length)}
        {cached > 0 && <span className="muted"> · {messages.log.cachedSteps(cached)}</span>}
      </summary>
      <ol tabIndex={0} aria-label={messages.log.steps(steps.length)}>
        {steps.map((step) => (
          <li key={step.line}>
            <button
              type="button"
              onClick={() => onChoose(step.state === 'failed' ? (step.endLine ?? step.line) : step.line)}
            >
              <StateMark look={looks[step.state]} label={messages.log.step(step.number)} />
              <span className="muted mono">#{step.number}</span>
              {arePlatformsShown && <span className="muted mono">{step.platform?.replace('linux/', '') ?? ''}</span>}
              <span className="mono clip" title={step.name}>
                {step.name}
              </span>
              {step.state === 'cached' && <span className="badge">{messages.log.cached}</span>}
              <span className="muted number">
                <StepDuration step={step} />
              </span>
            </button>
          </li>
        ))}
      </ol>
    </details>
  );
}

function StepDuration({ step: { state, durationMs, startedAt } }: { step: LogStep }): ReactNode {
  if (state === 'running') return <Elapsed from={startedAt} to={null} />;
  return durationMs === null || state === 'cached' ? '' : formatDuration(durationMs);
}
