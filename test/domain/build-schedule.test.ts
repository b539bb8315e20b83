import { describe, expect, it } from 'vitest';
import { buildScheduleSchema, isCron } from '../../domain/build-schedule.ts';

describe('the cron line of a schedule', () => {
  it.each([
    '0 3 * * *',
    '*/15 * * * *',
    '0 9-17/2 * * MON-FRI',
    '30 4 1,15 * 5',
    '5 0 * 8 *',
    '0 0 1 JAN,jul 0',
    '59 23 31 12 6',
    '10/20 * * * *',
  ])('may be %s', (cron) => {
    expect(isCron(cron)).toBe(true);
  });

  it.each([
    ['four fields', '0 3 * *'],
    ['six fields', '0 0 3 * * *'],
    ['a shorthand', '@daily'],
    ['a zone of its own', 'CRON_TZ=UTC 0 3 * * *'],
    ['minute 60', '60 * * * *'],
    ['hour 24', '0 24 * * *'],
    ['day 0', '0 0 0 * *'],
    ['month 13', '0 0 1 13 *'],
    ['weekday 7', '0 0 * * 7'],
    ['a backward range', '0 17-9 * * *'],
    ['a step of 0', '*/0 * * * *'],
    ['two steps', '*/2/2 * * * *'],
    ['a month for a day', '0 0 * * JAN'],
    ['an empty item', '0,,5 * * * *'],
    ['a negative number', '-5 * * * *'],
    ['nothing', ''],
  ])('may not have %s', (_, cron) => {
    expect(isCron(cron)).toBe(false);
  });

  it.each(['Mars/Olympus', '+08:00', '', 'Asia/Shanghai; drop', 'asia/shanghai', 'ASIA/SHANGHAI', 'utc', '../UTC'])(
    'stands in a real time zone, not %j',
    (timeZone) => {
      expect(buildScheduleSchema.safeParse({ cron: '0 3 * * *', timeZone }).success).toBe(false);
    },
  );

  it.each([
    'UTC',
    'Etc/GMT-8',
    'Asia/Shanghai',
    'Asia/Kolkata',
    'America/Port-au-Prince',
    'America/Argentina/Buenos_Aires',
  ])('may stand in %s', (timeZone) => {
    expect(buildScheduleSchema.safeParse({ cron: '0 3 * * *', timeZone }).success).toBe(true);
  });

  it('stands in UTC+8 when no zone is given', () => {
    expect(buildScheduleSchema.parse({ cron: '0 3 * * *' })).toEqual({ cron: '0 3 * * *', timeZone: 'Etc/GMT-8' });
  });
});
