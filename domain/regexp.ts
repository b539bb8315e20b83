import { RE2JS, RE2JSException } from 're2js';
import { limits } from './limits.ts';

/** What is wrong with a user's regular expression; `code` is one of `regexp.invalid`, `regexp.too_long`, `regexp.too_complex`. */
export interface RegexpProblem {
  readonly code: 'regexp.invalid' | 'regexp.too_long' | 'regexp.too_complex';
  readonly message: string;
}

/** A checked regular expression in RE2 syntax that must match the whole subject (docs/product.md, "Regexps"). */
export interface Regexp {
  readonly groups: readonly string[];
  /** The named groups when the whole subject matches, else undefined. A group that took no part is an empty string. */
  match(subject: string): Readonly<Record<string, string>> | undefined;
}

/** Compiles `pattern`, or tells what is wrong with it. Linear in the subject: never the built-in RegExp on a user's text. */
export function compileRegexp(pattern: string): Regexp | RegexpProblem {
  if (pattern.length > limits.regexpLength) {
    return {
      code: 'regexp.too_long',
      message: `The regular expression has ${pattern.length} characters; the limit is ${limits.regexpLength}. Shorten it.`,
    };
  }
  try {
    const compiled = RE2JS.compile(pattern);
    if (compiled.programSize() > limits.regexpProgramSize) {
      return {
        code: 'regexp.too_complex',
        message:
          'The regular expression is too complex to run safely. Use fewer or smaller repetitions such as {1,1000}.',
      };
    }
    const groups = Object.keys(compiled.namedGroups());
    return { groups, match: (subject) => matchWhole(compiled, groups, subject) };
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error;
    return {
      code: 'regexp.invalid',
      message: `The regular expression does not compile (${error.message}). Slipway uses RE2 syntax, which has no look-ahead, look-behind or back-references.`,
    };
  }
}

/** Tells a problem from a compiled expression. */
export function isRegexpProblem(value: Regexp | RegexpProblem): value is RegexpProblem {
  return 'code' in value;
}

/** Whether the whole subject matches; a pattern that no longer compiles matches nothing. */
export function regexpMatches(pattern: string, subject: string): boolean {
  const compiled = compileRegexp(pattern);
  return !isRegexpProblem(compiled) && compiled.match(subject) !== undefined;
}

function matchWhole(
  compiled: RE2JS,
  groups: readonly string[],
  subject: string,
): Readonly<Record<string, string>> | undefined {
  if (subject.length > limits.regexpSubjectLength) return undefined;
  const matcher = compiled.matcher(subject);
  if (!matcher.matches()) return undefined;
  return Object.fromEntries(groups.map((name) => [name, matcher.group(name) ?? '']));
}
