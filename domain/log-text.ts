import { createMasker } from './mask.ts';

/** Characters of one log line; the rest of a longer one is cut, visibly. */
const longestLine = 16 * 1024;
/** What stays open of colours between lines; a program that never resets must not make every line longer. */
const longestStyle = 128;

const escape = String.fromCharCode(27);
const bell = String.fromCharCode(7);
const title = `${escape}[\\]PX^_][^${bell}${escape}]*(?:${bell}|${escape}\\\\)?`;
const control = `${escape}\\[[0-?]*[ -/]*[@-~]`;
const otherEscape = `${escape}[ -/]*[0-Z\\\\^-~]?`;
const sequences = new RegExp(`${title}|${control}|${otherEscape}`, 'g');
const colour = new RegExp(`^${escape}\\[([0-9;:]*)m$`);
const resetColour = `${escape}[0m`;
/** Control characters but tab and escape, and those that turn the direction of writing. */
// oxlint-disable-next-line no-control-regex -- removing them is the point
const unseen = /[\u0000-\u0008\u000a-\u001a\u001c-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** Turns the output of a program, in pieces of any size, into lines that are safe to show on their own. */
export interface LineReader {
  push(text: string): readonly string[];
  /** The line without an end, if there is one. */
  end(): readonly string[];
  /** What the unfinished line shows by now, such as the last state of a progress bar; empty without one. */
  pending(): string;
}

/**
 * Lines of a program's output: secrets masked, what a carriage return overwrote left out, cursor moves and titles removed,
 * colours kept so that each line begins and ends its own (docs/product.md, section 7, "Log").
 */
export function createLineReader(secrets: readonly string[]): LineReader {
  const masker = createMasker(secrets);
  let rest = '';
  let style = '';

  function finish(line: string): string {
    const isCut = line.length > longestLine;
    const cleaned = cleanLine(isCut ? `${line.slice(0, longestLine)} … (the line goes on)` : line, style);
    style = cleaned.style;
    return cleaned.text;
  }

  function take(text: string): readonly string[] {
    const parts = `${rest}${text}`.split('\n');
    rest = shorten(parts.pop() ?? '');
    return parts.map((part) => finish(overwritten(shorten(part))));
  }

  return {
    push: (text) => take(masker.push(text)),
    end() {
      const lines = take(masker.end());
      if (rest === '') return lines;
      const last = finish(overwritten(rest));
      rest = '';
      return [...lines, last];
    },
    pending: () => plainLine(overwritten(rest)),
  };
}

/** Bounds what is kept of a line: overwritten text goes first, then everything past one character too many. */
function shorten(line: string): string {
  const visible = line.slice(line.lastIndexOf('\r', line.length - 2) + 1);
  return visible.slice(0, longestLine + 1);
}

/** One line made safe to show: no escape sequence, no control character. */
export function plainLine(text: string): string {
  return text.replaceAll('\n', ' ').replaceAll(sequences, '').replaceAll(escape, '').replaceAll(unseen, '');
}

function overwritten(line: string): string {
  const text = line.endsWith('\r') ? line.slice(0, -1) : line;
  return text.slice(text.lastIndexOf('\r') + 1);
}

function cleanLine(line: string, openStyle: string): { readonly text: string; readonly style: string } {
  let style = openStyle;
  const text = line
    .replaceAll(sequences, (sequence) => {
      const parameters = colour.exec(sequence)?.[1];
      if (parameters === undefined) return '';
      style = /^0*(;|$)/.test(parameters) ? (/[1-9]/.test(parameters) ? sequence : '') : style + sequence;
      return sequence;
    })
    .replaceAll(unseen, '');
  if (style.length > longestStyle) style = '';
  if (text === '') return { text, style };
  const isColoured = text.includes(escape) || openStyle !== '';
  return { text: isColoured ? `${openStyle}${text}${resetColour}` : text, style };
}

/** Whether a line tells of an error: the failing line is found at a glance, and all of them alone. */
export function isErrorLine(text: string): boolean {
  return errorStart.test(text.includes(escape) ? plainLine(text) : text);
}

const errorStart = /^(#\d+ )?(ERROR\b|error:|fatal:|failed to )/;
