import type { CSSProperties } from 'react';
import { FancyAnsi } from 'fancy-ansi';

/** A piece of one log line: text with a style, and an address where it is an https link. */
export interface LogSegment {
  readonly text: string;
  readonly style: CSSProperties;
  readonly href: string | null;
}

/* oxlint-disable no-control-regex -- control characters are what this file is about */

const ansi = new FancyAnsi();

// OSC sequences: a link's text stays, its hidden address goes; the address a reader sees is the one that is opened.
const operatingSystemCommand = /\u001B\].*?(?:\u0007|\u001B\\|$)/g;
// Colours of the 256 and true-colour tables have no contrast we could promise; only the 16 named ones stay.
const extendedColor = /\u001B\[(?:[34]8[;:](?:5[;:]\d{1,3}|2(?:[;:]\d{1,3}){3}))m/g;
// Every other control sequence but SGR, then every other control character but tab and escape.
const cursorMove = /\u001B\[[0-?]*[ -/]*[@-ln-~]/g;
const otherEscape = /\u001B(?!\[[0-9;]*m)/g;
const control = /[\u0000-\u0008\u000A-\u001A\u001C-\u001F\u007F-\u009F\u202A-\u202E\u2066-\u2069]/g;
const link = /https:\/\/[^\s<>"'`\u0000-\u001F]+[^\s<>"'`.,;:!?)\]}\u0000-\u001F]/g;

/**
 * Splits one line of a build's log into styled pieces. The line is whatever a build printed: it comes out as text, never as
 * HTML; only the sixteen colours, weight and underline survive, and only https addresses become links.
 */
export function renderLine(line: string): readonly LogSegment[] {
  const clean = line
    .replace(operatingSystemCommand, '')
    .replace(extendedColor, '')
    .replace(cursorMove, '')
    .replace(otherEscape, '')
    .replace(control, '');
  if (!clean.includes('\u001B') && !clean.includes('https://')) return [{ text: clean, style: {}, href: null }];
  return spansOf(ansi.toHtml(clean)).flatMap(({ text, style }) => withLinks(text, style));
}

interface Span {
  readonly text: string;
  readonly style: CSSProperties;
}

/** Takes fancy-ansi's flat `<span style="…">escaped text</span>` apart again. */
function spansOf(html: string): Span[] {
  const spans: Span[] = [];
  let style: CSSProperties = {};
  for (const token of html.split(/(<[^>]*>)/)) {
    if (token.startsWith('<span')) style = styleOf(token);
    else if (token.startsWith('<')) style = {};
    else if (token !== '') spans.push({ text: unescape(token), style });
  }
  return spans;
}

const named = /var\(--ansi-[a-z-]+/;

function styleOf(tag: string): CSSProperties {
  const style: CSSProperties = {};
  for (const declaration of (/style="([^"]*)"/.exec(tag)?.[1] ?? '').split(';')) {
    const [property, value = ''] = declaration.split(/:(.*)/);
    if (property === 'color' && named.test(value)) style.color = value;
    if (property === 'background-color' && named.test(value)) style.backgroundColor = value;
    if (property === 'font-weight') style.fontWeight = 600;
    if (property === 'text-decoration' && value.includes('underline')) style.textDecoration = 'underline';
  }
  // A background of the program's choice under a colour of ours: the pair is ours to make legible.
  if (style.backgroundColor !== undefined) style.color = 'var(--ansi-on-background)';
  return style;
}

const entities: Readonly<Record<string, string>> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&#39;': "'",
};

function unescape(text: string): string {
  return text.replaceAll(/&(?:amp|lt|gt|quot|#39);/g, (entity) => entities[entity] ?? entity);
}

function withLinks(text: string, style: CSSProperties): LogSegment[] {
  const segments: LogSegment[] = [];
  let end = 0;
  for (const match of text.matchAll(link)) {
    if (match.index > end) segments.push({ text: text.slice(end, match.index), style, href: null });
    segments.push({ text: match[0], style, href: match[0] });
    end = match.index + match[0].length;
  }
  if (end < text.length) segments.push({ text: text.slice(end), style, href: null });
  return segments;
}
