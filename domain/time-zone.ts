import { z } from 'zod';

/** UTC+8, the zone of the product documents; the sign of `Etc/GMT-8` is the other way round by POSIX. */
export const defaultTimeZone = 'Etc/GMT-8';

const namePattern = /^[A-Za-z][A-Za-z0-9_+\-/]{0,63}$/;

/** A zone by its IANA name: `Asia/Shanghai`, `UTC`, `Etc/GMT-8`. */
export const timeZoneSchema = z.string().refine(isTimeZone, {
  message: 'A time zone is named as in the IANA database: Asia/Shanghai, Europe/Berlin, UTC.',
});

function isTimeZone(name: string): boolean {
  if (!namePattern.test(name)) return false;
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}
