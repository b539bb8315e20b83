import { Buffer } from 'node:buffer';
import type { SourceChange } from '../../domain/source.ts';

const refLength = 255;
const textLength = 2_000;
const commitPattern = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

/** The JSON of a body, or undefined when it is none. */
export function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    return undefined;
  }
}

/** Branch or tag of a full ref name; undefined for other refs and for names that no git server would accept. */
export function parseRef(fullRef: string): Pick<SourceChange, 'ref' | 'refType'> | undefined {
  const match = /^refs\/(heads|tags)\/(.+)$/.exec(fullRef);
  const ref = match?.[2];
  if (ref === undefined || ref.length > refLength || !isRefName(ref)) return undefined;
  return { ref, refType: match?.[1] === 'tags' ? 'tag' : 'branch' };
}

/** git's own rules for ref names, as far as they keep the name harmless in a path, a log and a database. */
function isRefName(ref: string): boolean {
  if (hasControlCharacter(ref) || /[ ~^:?*[\\]/.test(ref)) return false;
  return !/(^[-/]|\/\/|\.\.|@\{|\/$|\.$|\.lock$)/.test(ref) && wellFormed(ref) === ref;
}

function hasControlCharacter(text: string): boolean {
  return Array.from(text).some((character) => character < ' ' || character === '\u007f');
}

export function isCommit(text: string | null | undefined): text is string {
  return typeof text === 'string' && commitPattern.test(text);
}

/** How git hosts write "there is no commit": before a ref was made, after it was deleted. */
export function isZeroCommit(text: string): boolean {
  return /^0{40}(?:0{24})?$/.test(text);
}

/** Outside text fit for PostgreSQL and for a run's input: no NUL, no half characters, at most 2,000 characters. */
export function plainText(text: string | null | undefined): string | null {
  if (text === null || text === undefined || text === '') return null;
  return wellFormed(text.replaceAll('\0', '').slice(0, textLength));
}

/** Halves of surrogate pairs become U+FFFD: PostgreSQL refuses them in JSON. */
function wellFormed(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8');
}

/** RFC 3339 of a time that hosts write as seconds since 1970 or as RFC 3339; undefined when it is neither. */
export function parseTime(time: string | number): string | undefined {
  const at = new Date(typeof time === 'number' ? time * 1_000 : isRfc3339(time) ? Date.parse(time) : Number.NaN);
  return Number.isNaN(at.getTime()) ? undefined : at.toISOString();
}

function isRfc3339(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/i.test(text);
}
