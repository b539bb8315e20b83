import { messages } from '../messages/index.ts';

/** `820 ms`, `3.4 s`, `3 m 12 s`, `1 h 04 m`, `2 d 3 h`: never more than two units. */
export function formatDuration(ms: number): string {
  const { unit } = messages;
  if (ms < 0) return `0 ${unit.second}`;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 9_950) return `${(ms / 1_000).toFixed(1)} ${unit.second}`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 60) return `${seconds} ${unit.second}`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} ${unit.minute} ${pad(seconds % 60)} ${unit.second}`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} ${unit.hour} ${pad(minutes % 60)} ${unit.minute}`;
  return `${Math.floor(hours / 24)} ${unit.day} ${hours % 24} ${unit.hour}`;
}

/** Like `formatDuration`, in whole seconds: what ticks must not flicker between units. */
export function formatElapsed(ms: number): string {
  return ms < 10_000 ? `${Math.max(0, Math.floor(ms / 1_000))} ${messages.unit.second}` : formatDuration(ms);
}

/** `0 B`, `31.4 MB`: powers of 1,000, as registries and networks count. */
export function formatBytes(bytes: number): string {
  const units = messages.unit.bytes;
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1_000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit] ?? ''}`;
}

export const zones = ['local', 'utc', 'utc+8'] as const;
export type Zone = (typeof zones)[number];

/** The IANA name a zone stands for; undefined is the viewer's own. */
function zoneName(zone: Zone): string | undefined {
  return { local: undefined, utc: 'UTC', 'utc+8': 'Asia/Shanghai' }[zone];
}

/** A full time with its zone named: `21 Nov 2026, 13:39:00 UTC`. */
export function formatTime(at: string, zone: Zone): string {
  return formatter({ dateStyle: 'medium', timeStyle: 'long' }, zone).format(new Date(at));
}

/** Hours, minutes and seconds alone, for lines whose day stands elsewhere. */
export function formatClock(at: string, zone: Zone): string {
  return formatter({ hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' }, zone).format(
    new Date(at),
  );
}

const formatters = new Map<string, Intl.DateTimeFormat>();

/** Formatters are slow to make and used once per log line: kept by their options. */
function formatter(options: Intl.DateTimeFormatOptions, zone: Zone): Intl.DateTimeFormat {
  const key = `${JSON.stringify(options)}${zone}`;
  const kept = formatters.get(key);
  if (kept !== undefined) return kept;
  const timeZone = zoneName(zone);
  const made = new Intl.DateTimeFormat('en-GB', timeZone === undefined ? options : { ...options, timeZone });
  formatters.set(key, made);
  return made;
}

const relative = new Intl.RelativeTimeFormat(messages.locale, { numeric: 'always', style: 'short' });
const spans: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ['year', 365 * 86_400_000],
  ['month', 30 * 86_400_000],
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
];

/** `3 min. ago`; under a minute `just now`, so that nothing ticks every second. */
export function formatAgo(at: string, nowMs: number): string {
  const past = nowMs - Date.parse(at);
  const span = spans.find(([, ms]) => past >= ms);
  return span === undefined ? messages.unit.now : relative.format(-Math.floor(past / span[1]), span[0]);
}

/** `sha256:` and the first twelve of its 64 digits. */
export function shortDigest(digest: string): string {
  return digest.replace(/^(sha256:[0-9a-f]{12})[0-9a-f]+$/, '$1');
}

/** The first eight characters of a commit id. */
export function shortCommit(commit: string): string {
  return commit.slice(0, 8);
}

/** The first line of a commit message. */
export function firstLine(message: string): string {
  return message.split('\n', 1)[0] ?? '';
}

function pad(value: number): string {
  return String(value).padStart(2, '0');
}
