import { Button, TextInput } from '@mantine/core';
import type { ReactNode } from 'react';
import { emptyImageTag } from '../forms/build-rule.ts';
import type { ImageTagDraft } from '../forms/build-rule.ts';
import { messages } from '../messages/index.ts';
import type { DraftProps } from './build-rule-wizard.tsx';

/** Image tags a rule may write. */
const mostTags = 3;

/** How the images are called: a template, a time, a commit id, each or together. */
export function ImageTagFields({ draft, onChange }: DraftProps): ReactNode {
  const words = messages.repository.wizard;
  const replace = (index: number, part: Partial<ImageTagDraft>): void =>
    onChange({ imageTags: draft.imageTags.map((tag, place) => (place === index ? { ...tag, ...part } : tag)) });
  return (
    <>
      {draft.imageTags.map((tag, index) => (
        <fieldset key={index} className="tag-fields">
          <legend>{words.tag(index + 1)}</legend>
          <TextInput
            label={words.template}
            placeholder="${imageTag}"
            value={tag.template}
            onChange={({ target }) => replace(index, { template: target.value })}
          />
          <TextInput
            label={words.buildTime}
            placeholder="yyyyMMddHHmm"
            value={tag.buildTime}
            onChange={({ target }) => replace(index, { buildTime: target.value })}
          />
          <TextInput
            type="number"
            min={1}
            max={40}
            label={words.commitId}
            placeholder="6"
            value={tag.commitIdLength}
            onChange={({ target }) => replace(index, { commitIdLength: target.value })}
          />
          {draft.imageTags.length > 1 && (
            <Button
              variant="subtle"
              aria-label={words.removeTag(index + 1)}
              onClick={() => onChange({ imageTags: draft.imageTags.filter((_, place) => place !== index) })}
            >
              {messages.repository.rules.remove}
            </Button>
          )}
        </fieldset>
      ))}
      {draft.imageTags.length < mostTags && (
        <Button variant="default" onClick={() => onChange({ imageTags: [...draft.imageTags, emptyImageTag] })}>
          {words.addTag}
        </Button>
      )}
    </>
  );
}
