import { TextInput } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import type { FormEvent, KeyboardEvent, ReactNode, RefObject } from 'react';
import { searchLog } from '../api.ts';
import { messages } from '../messages/index.ts';
import { ArrowDownIcon, ArrowUpIcon, CloseIcon } from '../ui/icons.tsx';
import { wordProblem } from '../words.ts';

/** A search through a whole log, done by the server a page at a time. */
export interface LogSearch {
  readonly asked: string;
  /** The line of the match the reader stands at; null without one. */
  readonly line: number | null;
  /** Its place among the matches known so far, from 1. */
  readonly at: number;
  readonly known: number;
  /** More may be found than is known. */
  readonly isMore: boolean;
  readonly isDone: boolean;
  readonly problem: unknown;
  ask(text: string): void;
  /** To the next match, or with -1 to the one before. */
  go(by: 1 | -1): void;
}

export function useLogSearch(build: string): LogSearch {
  const [asked, setAsked] = useState('');
  const [at, setAt] = useState(0);
  const { data, error, hasNextPage, isFetching, fetchNextPage } = useInfiniteQuery({
    queryKey: ['log-search', build, asked],
    queryFn: ({ signal, pageParam }) => searchLog(build, { q: asked, offset: pageParam }, signal),
    initialPageParam: 0,
    getNextPageParam: ({ nextOffset }) => nextOffset,
    enabled: asked !== '',
  });
  const matches = asked === '' ? [] : (data?.pages ?? []).flatMap(({ items }) => items);
  const isShort = at >= matches.length - 1;
  useEffect(() => {
    if (isShort && hasNextPage && !isFetching) void fetchNextPage();
  }, [isShort, hasNextPage, isFetching, fetchNextPage]);
  return {
    asked,
    line: matches[at]?.line ?? null,
    at: at + 1,
    known: matches.length,
    isMore: hasNextPage,
    isDone: asked !== '' && data !== undefined && (matches.length > 0 || !hasNextPage),
    problem: asked === '' ? null : error,
    ask(text) {
      setAsked(text);
      setAt(0);
    },
    go(by) {
      if (matches.length > 0) setAt((at + by + matches.length) % matches.length);
    },
  };
}

/** Enter goes to the next match, Shift+Enter to the one before, Escape ends the search. */
export function BuildLogSearch({
  search,
  input,
}: {
  search: LogSearch;
  input: RefObject<HTMLInputElement | null>;
}): ReactNode {
  const [text, setText] = useState('');
  const clear = (): void => {
    setText('');
    search.ask('');
  };
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (text === search.asked) search.go(1);
    else search.ask(text);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === 'Enter' && event.shiftKey && text === search.asked) {
      event.preventDefault();
      search.go(-1);
    }
    if (event.key === 'Escape') clear();
  };
  const { log } = messages;
  return (
    <form role="search" className="log-search" onSubmit={submit}>
      <TextInput
        ref={input}
        type="search"
        aria-label={log.search}
        placeholder={log.search}
        value={text}
        onChange={({ target }) => setText(target.value)}
        onKeyDown={onKeyDown}
      />
      <span role="status" className="small muted">
        {search.problem === null ? '' : wordProblem(search.problem).detail}
        {search.isDone ? log.matches(search.at, search.known, search.isMore) : ''}
        {search.asked !== '' && !search.isDone && search.problem === null ? log.searching : ''}
      </span>
      {search.isDone && (
        <>
          <button type="button" className="icon-button" aria-label={log.searchPrevious} onClick={() => search.go(-1)}>
            <ArrowUpIcon />
          </button>
          <button type="button" className="icon-button" aria-label={log.searchNext} onClick={() => search.go(1)}>
            <ArrowDownIcon />
          </button>
          <button type="button" className="icon-button" aria-label={log.searchClear} onClick={clear}>
            <CloseIcon />
          </button>
        </>
      )}
    </form>
  );
}
