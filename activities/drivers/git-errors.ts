import { plainLine } from '../../domain/log-text.ts';
import { maskText } from '../../domain/mask.ts';
import { SourceError, type SourceErrorCode } from '../../domain/source-error.ts';
import { ProcessFailed, ProcessTimedOut } from './process.ts';

/** git's own words for the branch that `clone` was to take. */
export const branchMissing = /Remote branch .* not found in upstream/;

const causes: readonly {
  pattern: RegExp;
  code: SourceErrorCode;
  text: (where: string, match: RegExpExecArray) => string;
}[] = [
  {
    // git checks what it is given before anything of it is used; what it names is the rule that was broken.
    pattern: /error: object [0-9a-f]+: (\w+): /,
    code: 'build.source_unsafe',
    text: (where, [, rule = '']) =>
      `git refuses the history of ${where}: an object in it breaks the rule "${rule}", as attacks do and broken tools. Remove it from the history; git fsck --strict names it.`,
  },
  {
    pattern:
      /Authentication failed|could not read (Username|Password)|HTTP (Basic: )?Access denied|returned error: 40[13]/,
    code: 'source.not_authorized',
    text: (where) =>
      `The source host refuses to give ${where} to this login. Check the user name and token of the source account, and what they may read.`,
  },
  {
    // 451 is our own proxy's: the egress rules forbid the address.
    pattern: /transport '.*' not allowed|protocol '.*' is not supported|unsafe URL|No host part in the URL|\b451\b/,
    code: 'source.address_refused',
    text: (where) =>
      `${where} is not an address Slipway clones from. Use an https address of a source host that the administrator's egress rules allow.`,
  },
  {
    pattern: /signal 25|File too large|pack exceeds maximum|signal 9|out of memory|Out of memory|mmap failed/,
    code: 'build.source_too_large',
    text: (where) =>
      `The history of ${where} at this commit is larger than a checkout may be (1 GiB). Remove large files from the commit.`,
  },
  {
    pattern:
      /repository '.*' not found|Repository not found|does not appear to be a git repository|returned error: 404/,
    code: 'source.not_found',
    text: (where) =>
      `The source host has no repository ${where}, or this login may not see it. Check the repository's code source.`,
  },
];

/** The error of a git command that failed, by its last words. What nobody knows is worth another attempt. */
export function gitErrorOf(error: unknown, { url, secrets }: { url: string; secrets: readonly string[] }): unknown {
  if (!(error instanceof ProcessFailed)) return error;
  const where = addressWithoutLogin(url);
  for (const { pattern, code, text } of causes) {
    const match = pattern.exec(error.stderrTail);
    if (match !== null) return new SourceError(code, text(where, match), { params: { url: where }, cause: error });
  }
  const said = maskText(lastWords(error), secrets);
  return new SourceError(
    'source.not_reachable',
    `The source host did not deliver ${where} (${said}). Slipway tries again by itself; if it goes on, check that the host is up.`,
    { params: { url: where }, cause: error },
  );
}

function lastWords(error: ProcessFailed): string {
  if (error instanceof ProcessTimedOut) return 'it took too long';
  const lines = error.stderrTail.split(/[\r\n]+/).filter((line) => line.trim() !== '');
  return plainLine(lines.at(-1) ?? `git ended with ${error.exit}`).slice(0, 300);
}

/** An address as it may be shown: without user, password, query and fragment. */
export function addressWithoutLogin(url: string): string {
  if (!URL.canParse(url)) return 'the address';
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}
