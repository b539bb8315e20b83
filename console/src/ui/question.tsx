import { Button, Modal } from '@mantine/core';
import type { ReactNode } from 'react';
import { messages } from '../messages/index.ts';
import { wordProblem } from '../words.ts';
import { ErrorPanel } from './panels.tsx';

/** What is done on yes, as react-query's mutation tells of it. */
interface Act {
  readonly error: Error | null;
  readonly isPending: boolean;
  readonly mutate: () => void;
}

export interface QuestionProps {
  readonly title: string;
  /** What will come of it. */
  readonly children: ReactNode;
  readonly keep: string;
  readonly confirm: string;
  readonly act: Act;
  /** Something is lost by it. */
  readonly isDanger?: boolean;
  readonly onClose: () => void;
}

/** Asks before something is done; why it cannot be done is said in its place. */
export function Question({ title, children, keep, confirm, act, isDanger = false, onClose }: QuestionProps): ReactNode {
  return (
    <Modal opened closeButtonProps={{ 'aria-label': messages.shell.close }} onClose={onClose} title={title} centered>
      <div className="dialog-form">
        {children}
        {act.error !== null && <ErrorPanel problem={wordProblem(act.error, messages.error.actionTitle)} />}
      </div>
      <div className="dialog-actions">
        <Button variant="default" onClick={onClose} data-autofocus>
          {keep}
        </Button>
        <Button {...(isDanger ? { color: 'danger' } : {})} loading={act.isPending} onClick={() => act.mutate()}>
          {confirm}
        </Button>
      </div>
    </Modal>
  );
}
