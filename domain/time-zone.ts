import { z } from 'zod';

/** UTC+8, the zone of the product documents; the sign of `Etc/GMT-8` is the other way round by POSIX. */
export const defaultTimeZone = 'Etc/GMT-8';

const namePattern = /^[A-Z][A-Za-z0-9_+-]{0,31}(?:\/[A-Z][A-Za-z0-9_+-]{0,31}){0,2}$/;

/** A zone by its IANA name: `Asia/Shanghai`, `UTC`, `Etc/GMT-8`. */
export const timeZoneSchema = z.string().refine(isTimeZone, {
  message: 'A time zone is named as in the IANA database: Asia/Shanghai, Europe/Berlin, UTC.',
});

/** Letters count as they are written, since a schedule's zone is looked up as a file's name; `Intl` takes any case. */
function isTimeZone(name: string): boolean {
  if (!namePattern.test(name)) return false;
  try {
    const { timeZone } = new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions();
    return timeZone === name || timeZone.toLowerCase() !== name.toLowerCase();
  } catch {
    return false;
  }
}
