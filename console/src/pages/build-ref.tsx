import { Button, Modal } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import type { FormEvent, ReactNode } from 'react';
import { startBuild } from '../api-build.ts';
import type { BuildRule } from '../api-build.ts';
import { messages } from '../messages/index.ts';
import { ErrorPanel } from '../ui/panels.tsx';
import { wordProblem } from '../words.ts';
import { RefField } from './source-ref-field.tsx';

/** Builds any branch or tag by a rule (docs/product.md, X-08). */
export function BuildRefDialog({
  repository,
  rule,
  onClose,
  onStarted,
}: {
  repository: string;
  rule: BuildRule;
  onClose: () => void;
  onStarted: () => Promise<void>;
}): ReactNode {
  const words = messages.repository.rules;
  const [ref, setRef] = useState(rule.ref.match === 'exact' ? rule.ref.name : '');
  const start = useMutation({ mutationFn: () => startBuild(rule.id, ref), onSuccess: onStarted });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    start.mutate();
  };
  return (
    <Modal
      opened
      closeButtonProps={{ 'aria-label': messages.shell.close }}
      onClose={onClose}
      title={words.buildRefTitle}
      centered
    >
      <form className="dialog-form" onSubmit={submit}>
        <RefField
          repository={repository}
          label={words.ref}
          type={rule.ref.type}
          value={ref}
          isFocused
          onChange={setRef}
        />
        {start.isError && <ErrorPanel problem={wordProblem(start.error, messages.error.actionTitle)} />}
        <div className="dialog-actions">
          <Button type="submit" loading={start.isPending}>
            {words.start}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
