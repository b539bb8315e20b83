import { z } from 'zod';
import { limits } from './limits.ts';

const patternSchema = z
  .string()
  .min(1)
  .max(limits.pathPatternLength)
  .refine((pattern) => !pattern.split('/').includes('..') && !/[\\\0]/.test(pattern), {
    message: 'A path pattern is relative to the root of the code: no "..", no backslash.',
  });
const patternsSchema = z.array(patternSchema).max(limits.pathPatterns).default([]);

/** Which changed files start a branch rule; `include` empty: all of them (docs/product.md, X-04). */
export const pathFilterSchema = z.strictObject({ include: patternsSchema, exclude: patternsSchema });
export type PathFilter = z.infer<typeof pathFilterSchema>;

/**
 * Whether a push that changed these files builds: one of them is included and not excluded. `changed` is null when the host did
 * not say, or not completely; then, and where a push names no file (an empty commit, a new branch), the push builds, so that
 * none is lost. Patterns as in GitHub's path filters: `*` and `?` stay within a folder, `**` does not, a trailing `/` means
 * everything below.
 */
export function pathsMatch(filter: PathFilter | null, changed: readonly string[] | null): boolean {
  if (filter === null || changed === null || changed.length === 0 || changed.length > limits.changedPaths) return true;
  return changed.some((path) => isIncluded(filter, path));
}

function isIncluded({ include, exclude }: PathFilter, path: string): boolean {
  if (path.length > limits.changedPathLength) return true;
  if (include.length > 0 && !include.some((pattern) => globMatches(pattern, path))) return false;
  return !exclude.some((pattern) => globMatches(pattern, path));
}

/** Whether the whole path matches the glob. Never goes back further than the last star of each kind, so no pattern explodes. */
export function globMatches(pattern: string, path: string): boolean {
  const tokens = tokensOf(pattern);
  const text = Array.from(path.replace(/^\/+/, ''));
  let [token, at] = [0, 0];
  let star: Retry | undefined;
  let doubleStar: Retry | undefined;
  for (;;) {
    const wanted = tokens[token];
    if (wanted === undefined && at === text.length) return true;
    if (wanted === '**' || wanted === '**/') {
      // What an earlier star took no longer matters: this one can take anything.
      [doubleStar, star] = [{ token, at }, undefined];
      token += 1;
    } else if (wanted === '*') {
      star = { token, at };
      token += 1;
    } else if (at < text.length && (wanted === text[at] || (wanted === '?' && text[at] !== '/'))) {
      token += 1;
      at += 1;
    } else {
      const retry = takeMore(star, text, '/') ?? takeMoreOfAny(doubleStar, tokens, text);
      if (retry === undefined) return false;
      if (retry === doubleStar) star = undefined;
      token = retry.token + 1;
      at = retry.at;
    }
  }
}

/** A star and where the text after what it takes begins. */
interface Retry {
  readonly token: number;
  at: number;
}

/** Lets a `*` take one character more, or undefined when there is none it may take. */
function takeMore(star: Retry | undefined, text: readonly string[], barrier: string): Retry | undefined {
  if (star === undefined || star.at >= text.length || text[star.at] === barrier) return undefined;
  star.at += 1;
  return star;
}

/** Lets a double star take more: one character, or, where a slash follows it in the pattern, the rest of one more folder. */
function takeMoreOfAny(star: Retry | undefined, tokens: readonly string[], text: readonly string[]): Retry | undefined {
  if (star === undefined || tokens[star.token] === '**') return takeMore(star, text, '');
  const slash = text.indexOf('/', star.at);
  if (slash === -1) return undefined;
  star.at = slash + 1;
  return star;
}

/** Splits a glob into single characters and stars; a double star that stands for whole folders keeps its slash. */
function tokensOf(pattern: string): string[] {
  const whole = pattern.replace(/\/$/, '/**').replace(/^\/+/, '');
  const parts = whole.match(/(?<=^|\/)\*\*\/|\*\*+|[^]/gu) ?? [];
  return parts.map((part) => (/^\*\*+$/.test(part) ? '**' : part));
}
