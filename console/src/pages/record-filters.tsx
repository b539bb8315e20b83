import { Button, NativeSelect, TextInput } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import type { FormEvent, ReactNode } from 'react';
import { messages } from '../messages/index.ts';
import type { RecordFilters } from '../path-builder.ts';
import { resultLooks } from '../ui/state.ts';

const textFilters = ['repository', 'ref', 'tag', 'commit'] as const;

/** The filters as they stand in the address; a change is applied with Enter, a choice at once. */
export function RecordFiltersForm({ filters }: { filters: RecordFilters }): ReactNode {
  const navigate = useNavigate();
  const words = messages.list.filters;
  const [texts, setTexts] = useState<RecordFilters>(filters);
  const results = Object.entries(resultLooks).map(([value, { word }]) => ({ value, label: word }));
  const apply = (changed: Readonly<Record<string, string | undefined>>): void => {
    void navigate({ to: '/records', search: { ...texts, ...changed, cursor: '' } });
  };
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    apply({});
  };
  return (
    <form className="filters" role="search" aria-label={words.label} onSubmit={submit}>
      <NativeSelect
        aria-label={words.result}
        data={[{ value: '', label: words.anyResult }, ...results]}
        value={filters.result ?? ''}
        onChange={({ target }) => apply({ result: target.value })}
      />
      {textFilters.map((name) => (
        <TextInput
          key={name}
          aria-label={words[name]}
          placeholder={words[name]}
          value={texts[name] ?? ''}
          onChange={({ target }) => setTexts({ ...texts, [name]: target.value })}
        />
      ))}
      <Button type="submit" variant="default">
        {words.apply}
      </Button>
      {Object.keys(filters).length > 0 && (
        <Button variant="subtle" onClick={() => void navigate({ to: '/records', search: {} })}>
          {words.clear}
        </Button>
      )}
    </form>
  );
}
