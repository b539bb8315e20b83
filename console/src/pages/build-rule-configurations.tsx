import { TextInput } from '@mantine/core';
import type { ReactNode } from 'react';
import type { Architecture } from '../../../domain/build.ts';
import { offeredArchitectures } from '../forms/build-rule.ts';
import { messages } from '../messages/index.ts';
import { CheckField, LinesField } from '../ui/fields.tsx';
import type { DraftProps } from './build-rule-wizard.tsx';

const isOffered = (name: string): name is Architecture => Object.hasOwn(offeredArchitectures, name);

/** For which machines, with what, how long, and when besides pushes. */
export function BuildConfigurations({ draft, onChange }: DraftProps): ReactNode {
  const words = messages.repository.wizard;
  const offered = Object.keys(offeredArchitectures).filter(isOffered);
  return (
    <>
      <fieldset className="tag-fields">
        <legend>{words.architectures}</legend>
        {offered.map((name) => (
          <CheckField
            key={name}
            label={name}
            isOn={draft.architectures.includes(name)}
            onChange={(isOn) =>
              onChange({
                architectures: offered.filter((each) => (each === name ? isOn : draft.architectures.includes(each))),
              })
            }
          />
        ))}
      </fieldset>
      <LinesField
        label={words.parameters}
        hint={words.parametersHint}
        value={draft.parameters}
        onChange={(parameters) => onChange({ parameters })}
      />
      <LinesField
        label={words.secrets}
        hint={words.secretsHint}
        value={draft.secrets}
        onChange={(secrets) => onChange({ secrets })}
      />
      <TextInput
        label={words.targetStage}
        value={draft.targetStage}
        onChange={({ target }) => onChange({ targetStage: target.value })}
      />
      <TextInput
        type="number"
        min={1}
        max={180}
        label={words.timeoutMinutes}
        value={draft.timeoutMinutes}
        onChange={({ target }) => onChange({ timeoutMinutes: target.value })}
      />
      <TextInput
        label={words.cron}
        placeholder="0 3 * * 1-5"
        value={draft.cron}
        onChange={({ target }) => onChange({ cron: target.value })}
      />
      {draft.cron !== '' && (
        <TextInput
          label={words.timeZone}
          value={draft.timeZone}
          onChange={({ target }) => onChange({ timeZone: target.value })}
        />
      )}
      <CheckField
        label={words.allowPartial}
        isOn={draft.allowPartial}
        onChange={(allowPartial) => onChange({ allowPartial })}
      />
      <CheckField
        label={words.onBaseImageUpdate}
        isOn={draft.onBaseImageUpdate}
        onChange={(onBaseImageUpdate) => onChange({ onBaseImageUpdate })}
      />
      <CheckField label={words.enabled} isOn={draft.enabled} onChange={(enabled) => onChange({ enabled })} />
    </>
  );
}
