import { Button, Modal, NativeSelect } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import type { FormEvent, ReactNode } from 'react';
import { ApiProblem } from '../api-problem.ts';
import { saveBuildRule } from '../api-build.ts';
import type { BuildRule } from '../api-build.ts';
import { definitionOf, draftOf, newBuildRule, stepOfPointer } from '../forms/build-rule.ts';
import type { BuildRuleDraft } from '../forms/build-rule.ts';
import { messages } from '../messages/index.ts';
import { LinesField } from '../ui/fields.tsx';
import { ErrorPanel } from '../ui/panels.tsx';
import { wordProblem } from '../words.ts';
import { BuildConfigurations } from './build-rule-configurations.tsx';
import { BuildRulePreview } from './build-rule-preview.tsx';
import { SourceFields } from './build-rule-source.tsx';
import { ImageTagFields } from './build-rule-tags.tsx';

interface WizardProps {
  readonly repository: string;
  /** The rule to change; null makes a new one. */
  readonly rule: BuildRule | null;
  readonly onClose: () => void;
  readonly onSaved: () => Promise<void>;
}

/** Three steps; nothing is stored before Confirm, and what the rule would do is shown all along (docs/product.md, section 6). */
export function BuildRuleWizard({ repository, rule, onClose, onSaved }: WizardProps): ReactNode {
  const words = messages.repository.wizard;
  const [draft, setDraft] = useState<BuildRuleDraft>(rule === null ? newBuildRule : draftOf(rule));
  const [at, setAt] = useState(0);
  const save = useMutation({
    mutationFn: () => saveBuildRule(repository, definitionOf(draft), rule),
    onSuccess: onSaved,
    onError: (error) => setAt(stepOfProblem(error)),
  });
  const change = (part: Partial<BuildRuleDraft>): void => setDraft({ ...draft, ...part });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (at < 2) setAt(at + 1);
    else save.mutate();
  };
  return (
    <Modal
      opened
      closeButtonProps={{ 'aria-label': messages.shell.close }}
      onClose={onClose}
      title={rule === null ? words.add : words.modify}
      size="xl"
      centered
    >
      <form className="wizard" onSubmit={submit}>
        <ol className="wizard-steps">
          {words.steps.map((name, step) => (
            <li key={name} aria-current={step === at ? 'step' : undefined}>
              <button type="button" onClick={() => setAt(step)}>
                {words.step(step + 1, name)}
              </button>
            </li>
          ))}
        </ol>
        <div className="wizard-columns">
          <div className="wizard-fields">
            {at === 0 && <BuildInformation repository={repository} draft={draft} onChange={change} />}
            {at === 1 && <ImageTagFields draft={draft} onChange={change} />}
            {at === 2 && <BuildConfigurations draft={draft} onChange={change} />}
          </div>
          <BuildRulePreview repository={repository} draft={draft} />
        </div>
        {save.isError && <SaveProblem error={save.error} />}
        <div className="dialog-actions">
          <Button variant="default" onClick={at === 0 ? onClose : () => setAt(at - 1)}>
            {at === 0 ? words.cancel : words.back}
          </Button>
          <Button type="submit" loading={save.isPending}>
            {at < 2 ? words.next : words.confirm}
          </Button>
        </div>
      </form>
    </Modal>
  );
}

/** What each part of the wizard is given. */
export interface DraftProps {
  readonly draft: BuildRuleDraft;
  readonly onChange: (part: Partial<BuildRuleDraft>) => void;
}

function BuildInformation({ repository, draft, onChange }: DraftProps & { repository: string }): ReactNode {
  const words = messages.repository.wizard;
  return (
    <>
      <NativeSelect
        label={words.type}
        data={[
          { value: 'branch', label: words.types.branch },
          { value: 'tag', label: words.types.tag },
        ]}
        value={draft.refType}
        onChange={({ target }) => onChange({ refType: target.value === 'tag' ? 'tag' : 'branch' })}
      />
      <NativeSelect
        label={words.match}
        data={[
          { value: 'exact', label: words.matches.exact },
          { value: 'regexp', label: words.matches.regexp },
        ]}
        value={draft.refMatch}
        onChange={({ target }) => onChange({ refMatch: target.value === 'regexp' ? 'regexp' : 'exact' })}
      />
      <SourceFields repository={repository} draft={draft} onChange={onChange} />
      <LinesField
        label={words.include}
        hint={words.pathsHint}
        value={draft.include}
        onChange={(include) => onChange({ include })}
      />
      <LinesField
        label={words.exclude}
        hint={words.pathsHint}
        value={draft.exclude}
        onChange={(exclude) => onChange({ exclude })}
      />
    </>
  );
}

function SaveProblem({ error }: { error: Error }): ReactNode {
  const fields = error instanceof ApiProblem ? (error.problem.errors ?? []) : [];
  return (
    <>
      <ErrorPanel problem={wordProblem(error, messages.error.actionTitle)} />
      <ul className="field-errors">
        {fields.map(({ pointer, message }) => (
          <li key={`${pointer} ${message}`}>
            <code>{pointer}</code> {message}
          </li>
        ))}
      </ul>
    </>
  );
}

/** The step of the first field that is wrong; the last one when the error names none. */
function stepOfProblem(error: Error): number {
  const pointer = error instanceof ApiProblem ? error.problem.errors?.[0]?.pointer : undefined;
  return pointer === undefined ? 2 : stepOfPointer(pointer);
}
