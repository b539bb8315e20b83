import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { ReactNode } from 'react';
import { listSourceRefs } from '../api-source.ts';
import { messages } from '../messages/index.ts';
import { useRested } from '../ui/rested.ts';
import { SuggestField } from '../ui/suggest-field.tsx';
import { wordUnasked } from '../words.ts';

const restMs = 250;
/** What the host said a moment ago is good enough to pick from. */
const freshMs = 60_000;

/** A branch or tag, typed or picked from those the source has now. */
export function RefField({
  repository,
  label,
  type,
  value,
  isFocused = false,
  onChange,
}: {
  repository: string;
  label: string;
  type: 'branch' | 'tag';
  value: string;
  isFocused?: boolean;
  onChange: (name: string) => void;
}): ReactNode {
  const words = messages.source.picker;
  // What stands in the field says nothing of what is looked for until somebody types.
  const [typed, setTyped] = useState('');
  const q = useRested(typed, restMs);
  const refs = useQuery({
    queryKey: ['source-refs', repository, q],
    queryFn: ({ signal }) => listSourceRefs(repository, q, signal),
    staleTime: freshMs,
    placeholderData: keepPreviousData,
    retry: false,
  });
  const items = (refs.data?.items ?? []).filter((ref) => ref.type === type).map(({ name }) => name);
  return (
    <SuggestField
      label={label}
      hint={refs.isError ? wordUnasked(refs.error) : undefined}
      value={value}
      groups={[{ group: type === 'tag' ? words.tags : words.branches, items }]}
      isRequired
      isFocused={isFocused}
      onOpen={() => setTyped('')}
      onChange={(name) => {
        setTyped(name);
        onChange(name);
      }}
    />
  );
}
