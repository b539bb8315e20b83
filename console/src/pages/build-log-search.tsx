import { TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import type { FormEvent, KeyboardEvent, ReactNode } from 'react';
import { searchLog } from '../api.ts';
import { messages } from '../messages/index.ts';
import { ArrowDownIcon, ArrowUpIcon, CloseIcon } from '../ui/icons.tsx';
import { wordProblem } from '../words.ts';

/** Searches the whole log on the server; Enter goes to the next match, Shift+Enter to the one before. */
export function BuildLogSearch({
  build,
  onFound,
}: {
  build: string;
  onFound: (line: number | null) => void;
}): ReactNode {
  const [text, setText] = useState('');
  const [asked, setAsked] = useState('');
  const [at, setAt] = useState(0);
  const search = useQuery({
    queryKey: ['log-search', build, asked],
    queryFn: ({ signal }) => searchLog(build, asked, signal),
    enabled: asked !== '',
  });
  const matches = asked === '' ? undefined : search.data?.items;
  const line = matches?.[at]?.line ?? null;
  useEffect(() => onFound(line), [line, onFound]);
  const go = (by: number): void => {
    if (matches !== undefined && matches.length > 0) setAt((at + by + matches.length) % matches.length);
  };
  const ask = (wanted: string): void => {
    setAsked(wanted);
    setAt(0);
  };
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (text === asked) go(1);
    else ask(text);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === 'Enter' && event.shiftKey && text === asked) {
      event.preventDefault();
      go(-1);
    }
    if (event.key === 'Escape') {
      setText('');
      ask('');
    }
  };
  return (
    <form role="search" className="log-search" onSubmit={submit}>
      <TextInput
        type="search"
        aria-label={messages.log.search}
        placeholder={messages.log.search}
        value={text}
        onChange={({ target }) => setText(target.value)}
        onKeyDown={onKeyDown}
      />
      <span role="status" className="small muted">
        {search.isError ? wordProblem(search.error).detail : ''}
        {matches === undefined ? '' : messages.log.matches(at + 1, matches.length)}
      </span>
      {matches !== undefined && (
        <>
          <button type="button" className="icon-button" aria-label={messages.log.searchPrevious} onClick={() => go(-1)}>
            <ArrowUpIcon />
          </button>
          <button type="button" className="icon-button" aria-label={messages.log.searchNext} onClick={() => go(1)}>
            <ArrowDownIcon />
          </button>
          <button
            type="button"
            className="icon-button"
            aria-label={messages.log.searchClear}
            onClick={() => {
              setText('');
              ask('');
            }}
          >
            <CloseIcon />
          </button>
        </>
      )}
    </form>
  );
}
