import { expect, test } from 'vitest';
import { keptDaysOf } from '../../domain/retention.ts';

const days = (deliveries: number, logs: number, records: number) => ({
  SLIPWAY_DELIVERIES_KEPT_DAYS: deliveries,
  SLIPWAY_LOGS_KEPT_DAYS: logs,
  SLIPWAY_RECORDS_KEPT_DAYS: records,
});

test('what has ended is kept as configured, logs and reports no longer than their Record', () => {
  expect(keptDaysOf(days(30, 90, 365))).toEqual({ deliveries: 30, logs: 90, records: 365 });
  expect(keptDaysOf(days(30, 90, 7))).toEqual({ deliveries: 30, logs: 7, records: 7 });
});
