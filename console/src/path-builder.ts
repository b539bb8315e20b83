import type { RunResult, RunStatus, StepName } from '../../domain/record.ts';
import type { AuthorizationRefusal, InboxFilter } from '../../domain/source.ts';

/** Filters of the Record list as they stand in its address. */
export type RecordFilters = {
  readonly result?: RunResult;
  readonly status?: RunStatus;
  readonly repository?: string;
  readonly chain?: string;
  readonly ref?: string;
  readonly tag?: string;
  readonly commit?: string;
  readonly cursor?: string;
};

/** The page of source accounts: whose, and what came of connecting a host in the browser. */
export type SourceAccountSearch = {
  readonly instance?: string;
  readonly cursor?: string;
  /** The account that was connected. */
  readonly sourceAccount?: string;
  readonly refused?: AuthorizationRefusal;
};

/** The list of a repository's source events. */
export type SourceEventFilter = {
  readonly outcome?: InboxFilter;
  readonly cursor?: string;
};

/** Every address of the console; nothing else writes one down. */
export const paths = {
  home: (): string => '/',
  login: (next?: string): string => `/login${query({ next })}`,
  records: (filters: RecordFilters = {}): string => `/records${query(filters)}`,
  record: (runId: string, { step, line }: { step?: StepName; line?: number } = {}): string =>
    `/records/${encodeURIComponent(runId)}${query({ step })}${line === undefined ? '' : `#L${line}`}`,
  repositories: (): string => '/repositories',
  repository: (id: string): string => `/repositories/${encodeURIComponent(id)}`,
  sourceAccounts: (search: SourceAccountSearch = {}): string => `/source-accounts${query(search)}`,
  repositorySourceEvents: (id: string, filter: SourceEventFilter = {}): string =>
    `/repositories/${encodeURIComponent(id)}/source-events${query(filter)}`,
  /** The Build page of a repository; with a build, its log. */
  repositoryBuild: (id: string, build?: string): string =>
    `/repositories/${encodeURIComponent(id)}/build${query({ build })}`,
} as const;

/** `?a=b` of the members that have a value, in their order; empty without any. */
export function query(members: Readonly<Record<string, string | number | boolean | undefined>>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(members)) {
    if (value !== undefined && value !== '') search.set(name, String(value));
  }
  const text = search.toString();
  return text === '' ? '' : `?${text}`;
}
