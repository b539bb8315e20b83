/** Shorter values would eat ordinary text, and guessing them is no work anyway. */
const shortestMasked = 6;
const maskedAs = '***';

/** Replaces secrets in a text that arrives in pieces, whatever the pieces' borders. */
export interface Masker {
  /** What is safe to show by now; the beginning of a possible secret is held back. */
  push(text: string): string;
  /** The rest. */
  end(): string;
}

/**
 * Masks the given secrets in every form they usually appear in: raw (also line by line), URL-encoded, JSON-escaped, and
 * base64 wherever in a longer value they stand (docs/product.md, section 7, "Log").
 */
export function createMasker(secrets: readonly string[]): Masker {
  const forms = formsOfAll(secrets);
  if (forms.length === 0) return { push: (text) => text, end: () => '' };
  const pattern = anyOf(forms);
  const beginnings = beginningsOf(forms);
  let held = '';
  return {
    push(text) {
      held += text;
      let shown = '';
      for (;;) {
        const holdFrom = unfinishedFrom(held, beginnings);
        const match = pattern.exec(held);
        if (match === null || match.index >= holdFrom) {
          shown += held.slice(0, holdFrom);
          held = held.slice(holdFrom);
          return shown;
        }
        shown += held.slice(0, match.index) + maskedAs;
        held = held.slice(match.index + match[0].length);
      }
    },
    end() {
      const rest = held.replaceAll(new RegExp(pattern, 'g'), maskedAs);
      held = '';
      return rest;
    },
  };
}

/** The text without the given secrets, in all their forms. */
export function maskText(text: string, secrets: readonly string[]): string {
  return createTextMask(secrets)(text);
}

/** `maskText` for many texts. */
export function createTextMask(secrets: readonly string[]): (text: string) => string {
  const forms = formsOfAll(secrets);
  if (forms.length === 0) return (text) => text;
  const pattern = new RegExp(anyOf(forms), 'g');
  return (text) => text.replaceAll(pattern, maskedAs);
}

/** Secrets by the code of their first character: most characters of a log begin none, and a log has many. */
interface Beginnings {
  readonly byFirst: ReadonlyMap<number, readonly string[]>;
  readonly longest: number;
}

function beginningsOf(forms: readonly string[]): Beginnings {
  const byFirst = Map.groupBy(forms, (form) => form.charCodeAt(0));
  return { byFirst, longest: forms[0]?.length ?? 0 };
}

/** Where the text ends in what could become a secret; the text's length when it does not. */
function unfinishedFrom(text: string, { byFirst, longest }: Beginnings): number {
  for (let start = Math.max(0, text.length - longest + 1); start < text.length; start += 1) {
    const forms = byFirst.get(text.charCodeAt(start));
    if (forms === undefined) continue;
    const tail = text.slice(start);
    if (forms.some((form) => form.length > tail.length && form.startsWith(tail))) return start;
  }
  return text.length;
}

/** Longest first, so that a form within another never leaves the rest of the longer one. */
function anyOf(forms: readonly string[]): RegExp {
  return new RegExp(forms.map((form) => form.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`)).join('|'));
}

function formsOfAll(secrets: readonly string[]): readonly string[] {
  const forms = secrets.filter((secret) => secret.length >= shortestMasked).flatMap(formsOf);
  return [...new Set(forms)].filter((form) => form.length >= shortestMasked).toSorted((a, b) => b.length - a.length);
}

function formsOf(secret: string): readonly string[] {
  const wellFormed = new TextDecoder().decode(new TextEncoder().encode(secret));
  return [
    secret,
    ...secret.split(/\r?\n/),
    encodeURIComponent(wellFormed),
    JSON.stringify(secret).slice(1, -1),
    ...[0, 1, 2].flatMap((before) => base64Within(wellFormed, before)),
  ];
}

/** The characters of base64 that only depend on the secret when `before` bytes (modulo 3) stand in front of it. */
function base64Within(secret: string, before: number): readonly string[] {
  const bytes = new TextEncoder().encode(secret);
  const padded = String.fromCharCode(...new Uint8Array(before), ...bytes);
  const sharedWithNext = (before + bytes.length) % 3 === 0 ? 0 : 1;
  const text = btoa(padded).replaceAll('=', '');
  const own = text.slice(before === 0 ? 0 : before + 1, text.length - sharedWithNext);
  return [own, own.replaceAll('+', '-').replaceAll('/', '_')];
}
