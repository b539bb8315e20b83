import { z } from 'zod';
import { repositoryAccess, type RegistryAccess } from './registry-auth.ts';
import { RegistryError } from '../../domain/registry-error.ts';
import { brokenProtocol } from './registry-errors.ts';
import type { CallOptions, ReadAnswer, RegistryHttp } from './registry-http.ts';

/** What a registry may list before it is taken for one that never ends. */
const maxItems = 10_000;
const pageSize = 1_000;
const pageBytes = 4 * 1024 * 1024;

const tagPageSchema = z.looseObject({ tags: z.array(z.string()).nullish() }).transform((page) => page.tags ?? []);
const repositoryPageSchema = z
  .looseObject({ repositories: z.array(z.string()).nullish() })
  .transform((page) => page.repositories ?? []);

/** Every tag of a repository; a repository that does not exist has none. */
export async function tagList(
  http: RegistryHttp,
  repository: string,
  options: CallOptions,
): Promise<readonly string[]> {
  const tags = await listAll(http, {
    ...options,
    target: `/v2/${repository}/tags/list?n=${pageSize}`,
    access: repositoryAccess(repository, ['pull']),
    read: (body) => tagPageSchema.parse(body),
  });
  return tags ?? [];
}

/** Whether there is a list of tags at all, which a registry begins with a repository's first tag. */
export async function repositoryHead(
  http: RegistryHttp,
  repository: string,
  { actions, signal, onRetry }: CallOptions & { readonly actions: readonly string[] },
): Promise<boolean> {
  const answer = await http.read({
    method: 'GET',
    target: `/v2/${repository}/tags/list?n=1`,
    access: repositoryAccess(repository, actions),
    expect: [200, 404],
    maxBytes: pageBytes,
    signal,
    onRetry,
  });
  return answer.status === 200;
}

/** Every repository of the registry, where it lists them at all. */
export async function repositoryList(http: RegistryHttp, options: CallOptions): Promise<readonly string[]> {
  const repositories = await listAll(http, {
    ...options,
    target: `/v2/_catalog?n=${pageSize}`,
    access: [{ type: 'registry', name: 'catalog', actions: ['*'] }],
    read: (body) => repositoryPageSchema.parse(body),
  });
  return repositories ?? [];
}

export interface PagedList<T> extends CallOptions {
  readonly target: string;
  readonly access: readonly RegistryAccess[];
  readonly read: (body: unknown) => readonly T[];
  /** The statuses that mean "there is no such list", default 404. */
  readonly absent?: readonly number[];
}

/** Follows `Link: rel="next"` on the registry's own origin. Undefined when there is no such list. */
export async function listAll<T>(http: RegistryHttp, list: PagedList<T>): Promise<readonly T[] | undefined> {
  const { target, access, read, absent = [404], signal, onRetry } = list;
  const items: T[] = [];
  for (let next: string | URL | undefined = target; next !== undefined;) {
    const expect = [200, ...absent];
    const answer: ReadAnswer = await http.read({
      method: 'GET',
      target: next,
      access,
      expect,
      maxBytes: pageBytes,
      signal,
      onRetry,
    });
    if (answer.status !== 200) return undefined;
    items.push(...readPage(answer, read));
    if (items.length > maxItems) throw tooMany(answer);
    next = nextPage(answer, http.origin);
  }
  return items;
}

function readPage<T>({ url, bytes }: ReadAnswer, read: (body: unknown) => readonly T[]): readonly T[] {
  try {
    return read(JSON.parse(bytes.toString('utf8')));
  } catch (error) {
    throw new RegistryError(`The list ${url.host}${url.pathname} cannot be read.`, {
      issue: 'unsupported_format',
      isPermanent: true,
      cause: error,
    });
  }
}

function tooMany({ url }: ReadAnswer): RegistryError {
  return new RegistryError(`${url.host}${url.pathname} lists more than ${maxItems} entries.`, {
    issue: 'data_length_exceeded',
    isPermanent: true,
  });
}

function nextPage({ headers, url }: ReadAnswer, origin: URL): URL | undefined {
  const link = /<([^>]*)>\s*;[^,]*\brel="?next"?/i.exec(String(headers['link'] ?? ''))?.[1];
  if (link === undefined) return undefined;
  const next = URL.canParse(link, url.href) ? new URL(link, url) : undefined;
  if (next?.origin !== origin.origin || next.href === url.href)
    throw brokenProtocol(`${url.host}${url.pathname} names a next page that is not its own.`);
  return next;
}
