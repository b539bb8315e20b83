import type { Config } from './config.ts';

/** How long what has ended is kept, in days (docs/product.md, section 15, "kept"). */
export interface KeptDays {
  readonly deliveries: number;
  readonly logs: number;
  readonly records: number;
}

/** As configured; logs and reports go with their Record at the latest. */
export function keptDaysOf(
  config: Pick<Config, 'SLIPWAY_DELIVERIES_KEPT_DAYS' | 'SLIPWAY_LOGS_KEPT_DAYS' | 'SLIPWAY_RECORDS_KEPT_DAYS'>,
): KeptDays {
  const records = config.SLIPWAY_RECORDS_KEPT_DAYS;
  return {
    deliveries: config.SLIPWAY_DELIVERIES_KEPT_DAYS,
    logs: Math.min(config.SLIPWAY_LOGS_KEPT_DAYS, records),
    records,
  };
}
