import { z } from 'zod';
import { plainText } from '../../domain/plain-text.ts';
import type { SourceChange } from '../../domain/source.ts';
import type { BoundRepository, ParsedDelivery } from './source-host.ts';

const refLength = 255;
const commitPattern = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

/** What a host's payload says of one ref, in the host's own spelling. */
export interface ChangeClaim {
  /** Full name: `refs/heads/main`. */
  readonly fullRef: string;
  readonly before: string | null | undefined;
  /** The newest commit; null or all zeros: the ref was deleted. */
  readonly commit: string | null | undefined;
  readonly isDeleted?: boolean;
  readonly message?: string | null | undefined;
  readonly author?: string | null | undefined;
  readonly actor?: string | null | undefined;
  readonly pushedAt?: string | number | null | undefined;
  readonly isFork?: boolean;
  readonly isForced?: boolean;
  readonly paths?: readonly string[] | null;
}

/** A body read with the host's schema, or why it cannot be. */
export function readBody<Schema extends z.ZodType>(
  schema: Schema,
  body: Uint8Array,
): { readonly data: z.output<Schema> } | { readonly invalid: Extract<ParsedDelivery, { kind: 'invalid' }> } {
  const json = parseJson(body);
  if (json === undefined)
    return {
      invalid: invalid('the body is not JSON; set the content type of the webhook to application/json'),
    };
  const read = schema.safeParse(json);
  return read.success ? { data: read.data } : { invalid: invalid(z.prettifyError(read.error)) };
}

/** One change of one ref, checked; refs that are neither branch nor tag start nothing. */
export function readChange(claim: ChangeClaim): ParsedDelivery {
  if (!/^refs\/(heads|tags)\//.test(claim.fullRef)) return { kind: 'ignored', reason: 'other_event' };
  const ref = parseRef(claim.fullRef);
  if (ref === undefined) return invalid('the ref is not a name git accepts');
  const commit = commitOf(claim.isDeleted === true ? null : claim.commit);
  if (commit === undefined) return invalid('the commit id is not 40 or 64 hex digits');
  const pushedAt = claim.pushedAt ?? null;
  const change = {
    ...ref,
    commit,
    before: commitOf(claim.before) ?? null,
    message: plainText(claim.message),
    author: plainText(claim.author),
    actor: plainText(claim.actor),
    pushedAt: pushedAt === null ? null : (parseTime(pushedAt) ?? null),
    isDeleted: commit === null,
    isFork: claim.isFork ?? false,
    isForced: claim.isForced ?? false,
  };
  const isListed = ref.refType === 'branch' && change.before !== null && !change.isDeleted && !change.isForced;
  return { kind: 'changes', changes: [{ ...change, paths: isListed ? (claim.paths ?? null) : null }] };
}

/** A delivery that tells several changes: those that can be acted on, else what the first of the others is. */
export function readChanges(claims: readonly ChangeClaim[]): ParsedDelivery {
  const read = claims.map(readChange);
  const changes = read.flatMap((one) => (one.kind === 'changes' ? one.changes : []));
  if (changes.length > 0) return { kind: 'changes', changes };
  return read.find(({ kind }) => kind === 'invalid') ?? read[0] ?? { kind: 'ignored', reason: 'no_change' };
}

/** What hosts with the commit lists of GitHub, GitLab, Gitee and Gitea say about one commit. */
export const commitListSchema = z
  .array(
    z.looseObject({
      id: z.string().nullish(),
      message: z.string().nullish(),
      author: z.looseObject({ name: z.string().nullish() }).nullish(),
      added: z.array(z.string()).nullish(),
      modified: z.array(z.string()).nullish(),
      removed: z.array(z.string()).nullish(),
    }),
  )
  .nullish();

/** A commit with more files than hosts list at most says nothing about the rest. */
const filesListedPerCommit = 3_000;

/** Every file the commits of a push touched; null unless each commit of it is there with its files. */
export function pathsOf(
  commits: z.infer<typeof commitListSchema>,
  { isComplete }: { readonly isComplete: boolean },
): readonly string[] | null {
  if (!isComplete || commits === null || commits === undefined || commits.length === 0) return null;
  const paths = new Set<string>();
  for (const { added, modified, removed } of commits) {
    if (!Array.isArray(added) || !Array.isArray(modified) || !Array.isArray(removed)) return null;
    if (added.length + modified.length + removed.length >= filesListedPerCommit) return null;
    for (const path of [...added, ...modified, ...removed]) paths.add(path);
  }
  return [...paths];
}

/** A push to a fork of the bound repository. Where the bound repository is itself a fork, its own pushes count. */
export function isForkOf(
  bound: BoundRepository,
  repository:
    | { readonly fork?: boolean | null | undefined; readonly full_name?: string | null | undefined }
    | null
    | undefined,
): boolean {
  return repository?.fork === true && !isBound(bound, repository.full_name);
}

/** Whether a host's `namespace/name` is the bound repository's. */
export function isBound(
  { codeNamespace, codeRepository }: BoundRepository,
  fullName: string | null | undefined,
): boolean {
  const boundName = `${codeNamespace}/${codeRepository.replace(/\.git$/, '')}`;
  return fullName?.toLowerCase() === boundName.toLowerCase();
}

/** The JSON of a body, or undefined when it is none. */
export function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    return undefined;
  }
}

function invalid(reason: string): Extract<ParsedDelivery, { kind: 'invalid' }> {
  return { kind: 'invalid', reason };
}

/** Branch or tag of a full ref name; undefined for names that no git server would accept. */
function parseRef(fullRef: string): Pick<SourceChange, 'ref' | 'refType'> | undefined {
  const match = /^refs\/(heads|tags)\/(.+)$/s.exec(fullRef);
  const ref = match?.[2];
  if (ref === undefined || ref.length > refLength || !isRefName(ref)) return undefined;
  return { ref, refType: match?.[1] === 'tags' ? 'tag' : 'branch' };
}

/** git's own rules for ref names, as far as they keep the name harmless in a path, a log and a database. */
function isRefName(ref: string): boolean {
  if (hasControlCharacter(ref) || /[ ~^:?*[\\]/.test(ref)) return false;
  return !/(^[-/]|\/\/|\.\.|@\{|\/$|\.$|\.lock$)/.test(ref) && ref.isWellFormed();
}

function hasControlCharacter(text: string): boolean {
  return Array.from(text).some((character) => character < ' ' || character === '\u007f');
}

/** Null for no commit, which hosts write as null or zeros; undefined for what is no commit id. */
function commitOf(text: string | null | undefined): string | null | undefined {
  const commit = text?.toLowerCase() ?? null;
  if (commit === null || /^0{40}(?:0{24})?$/.test(commit)) return null;
  return commitPattern.test(commit) ? commit : undefined;
}

/** RFC 3339 of a time that hosts write as seconds since 1970 or as RFC 3339, its offset with or without colon; else undefined. */
function parseTime(time: string | number): string | undefined {
  const at = new Date(typeof time === 'number' ? time * 1_000 : isRfc3339(time) ? Date.parse(time) : Number.NaN);
  return Number.isNaN(at.getTime()) ? undefined : at.toISOString();
}

function isRfc3339(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:?\d{2})$/i.test(text);
}
