import type { ReactNode } from 'react';
import {
  CanceledIcon,
  DeniedIcon,
  FailedIcon,
  QueuedIcon,
  RunningIcon,
  SkippedIcon,
  SuccessIcon,
  WaitingIcon,
} from './icons.tsx';
import type { Look, StateIcon } from './state.ts';

const stateIcons: Record<StateIcon, () => ReactNode> = {
  success: SuccessIcon,
  failed: FailedIcon,
  denied: DeniedIcon,
  running: RunningIcon,
  waiting: WaitingIcon,
  queued: QueuedIcon,
  canceled: CanceledIcon,
  skipped: SkippedIcon,
};

/** Icon and word together; `size="large"` is the Record's own state. */
export function StateBadge({ look, size = 'normal' }: { look: Look; size?: 'normal' | 'large' }): ReactNode {
  const Icon = stateIcons[look.icon];
  return (
    <span className={`state tone-${look.tone} state-${size}`}>
      <Icon />
      <span>{look.word}</span>
    </span>
  );
}

/** The icon alone, named for those who cannot see it. */
export function StateMark({ look, label }: { look: Look; label: string }): ReactNode {
  const Icon = stateIcons[look.icon];
  return (
    <span
      className={`mark tone-${look.tone}`}
      role="img"
      aria-label={`${label}: ${look.word}`}
      title={`${label}: ${look.word}`}
    >
      <Icon />
    </span>
  );
}
