import { z } from 'zod';
import { defaultTimeZone, timeZoneSchema } from './time-zone.ts';

interface CronField {
  readonly from: number;
  readonly to: number;
  readonly names?: readonly string[];
}

const months = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const days = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];
/** Minute, hour, day of month, month, day of week. */
const cronFields: readonly CronField[] = [
  { from: 0, to: 59 },
  { from: 0, to: 23 },
  { from: 1, to: 31 },
  { from: 1, to: 12, names: months },
  { from: 0, to: 6, names: days },
];

/** When a rule builds by itself: a cron line of five fields in a time zone (docs/product.md, X-07). */
export const buildScheduleSchema = z.strictObject({
  cron: z.string().max(100).refine(isCron, {
    message:
      'A schedule is a cron line of five fields: minute, hour, day of month, month, day of week (0 is Sunday), such as "0 3 * * 1-5".',
  }),
  timeZone: timeZoneSchema.default(defaultTimeZone),
});

/** Whether the text is a cron line of five fields of numbers, names, lists, ranges and steps; no `@daily`, no seconds. */
export function isCron(text: string): boolean {
  const parts = text.trim().split(/[ \t]+/);
  return (
    parts.length === cronFields.length && cronFields.every((field, index) => isCronField(parts[index] ?? '', field))
  );
}

function isCronField(text: string, field: CronField): boolean {
  return text.split(',').every((item) => isCronItem(item, field));
}

function isCronItem(item: string, field: CronField): boolean {
  const [range = '', step, ...more] = item.split('/');
  if (more.length > 0 || (step !== undefined && !(/^[0-9]{1,2}$/.test(step) && Number(step) > 0))) return false;
  if (range === '*') return true;
  const [from = '', to, ...rest] = range.split('-');
  const first = valueOf(from, field);
  const last = to === undefined ? first : valueOf(to, field);
  return rest.length === 0 && first !== undefined && last !== undefined && first <= last;
}

function valueOf(text: string, { from, to, names = [] }: CronField): number | undefined {
  const named = names.indexOf(text.toUpperCase());
  if (named !== -1) return from + named;
  const value = /^[0-9]{1,2}$/.test(text) ? Number(text) : -1;
  return value >= from && value <= to ? value : undefined;
}
