import { Autocomplete } from '@mantine/core';
import type { ReactNode } from 'react';

/** A text that is typed or picked: what is offered was found by whoever offers it, and nothing else is refused. */
export function SuggestField({
  label,
  hint,
  value,
  groups,
  error,
  isRequired = false,
  isFocused = false,
  onChange,
  onOpen,
}: {
  label: string;
  hint?: string | undefined;
  value: string;
  groups: readonly { readonly group: string; readonly items: readonly string[] }[];
  error?: string | undefined;
  isRequired?: boolean;
  /** Takes the focus when its dialog opens. */
  isFocused?: boolean;
  onChange: (value: string) => void;
  /** Somebody goes to the field to see what there is. */
  onOpen?: () => void;
}): ReactNode {
  const data = groups
    .filter(({ items }) => items.length > 0)
    // Mantine refuses to show anything where a value stands twice.
    .map(({ group, items }) => ({ group, items: [...new Set(items)] }));
  const isSettled = groups.flatMap(({ items }) => items).every((item) => item === value);
  return (
    <Autocomplete
      size="xs"
      label={label}
      description={hint}
      error={error}
      required={isRequired}
      value={value}
      // What stands in the field already need not be offered, least of all over the button below.
      data={isSettled ? [] : data}
      filter={({ options }) => options}
      maxDropdownHeight={220}
      comboboxProps={{ shadow: 'md' }}
      spellCheck={false}
      onChange={onChange}
      {...(onOpen === undefined ? {} : { onFocus: onOpen, onClick: onOpen })}
      {...(isFocused ? { 'data-autofocus': true } : {})}
    />
  );
}
