import type { Database } from '../database.ts';

interface Batch {
  /** What ended before is over. */
  readonly before: Date;
  readonly limit: number;
}

/** An engine's report and the list of parts of one architecture, whose objects are to go. */
export interface ExpiredReport {
  readonly scanId: string;
  readonly platform: string;
  readonly keys: readonly string[];
}

export async function listExpiredReports(db: Database, { before, limit }: Batch): Promise<ExpiredReport[]> {
  const rows = await db
    .selectFrom('scan_report')
    .select(['scan_id', 'platform', 'report_key', 'sbom_key'])
    .where((eb) => eb.or([eb('report_key', 'is not', null), eb('sbom_key', 'is not', null)]))
    .where('ended_at', '<', before)
    .orderBy('ended_at')
    .limit(limit)
    .execute();
  return rows.map(({ scan_id: scanId, platform, report_key, sbom_key }) => ({
    scanId,
    platform,
    keys: [report_key, sbom_key].filter((key) => key !== null),
  }));
}

/** Forgets where a report was; to be called once its objects are gone. What was found stays with its Record. */
export async function forgetReport(
  db: Database,
  { scanId, platform }: Pick<ExpiredReport, 'scanId' | 'platform'>,
): Promise<void> {
  await db
    .updateTable('scan_report')
    .set({ report_key: null, sbom_key: null })
    .where('scan_id', '=', scanId)
    .where('platform', '=', platform)
    .execute();
}

/** Deletes deliveries that have ended, with their attempts; answers how many. */
export async function deleteExpiredDeliveries(db: Database, { before, limit }: Batch): Promise<number> {
  const { numDeletedRows } = await db
    .deleteFrom('delivery')
    .where('id', 'in', (eb) =>
      eb.selectFrom('delivery').select('id').where('ended_at', '<', before).orderBy('ended_at').limit(limit),
    )
    .executeTakeFirst();
  return Number(numDeletedRows);
}

/** Drops the bodies of deliveries that were set aside; their ids stay for ever, against replays. Answers how many. */
export async function dropInboxBodies(db: Database, { before, limit }: Batch): Promise<number> {
  const { numUpdatedRows } = await db
    .updateTable('inbox')
    .set({ body: null })
    .where('id', 'in', (eb) =>
      eb
        .selectFrom('inbox')
        .select('id')
        .where('body', 'is not', null)
        .where('state', '=', 'handled')
        .where('handled_at', '<', before)
        .limit(limit),
    )
    .executeTakeFirst();
  return Number(numUpdatedRows);
}

/** Deletes scans of no run, made by hand, whose reports are gone; answers how many. */
export async function deleteExpiredScans(db: Database, { before, limit }: Batch): Promise<number> {
  const { numDeletedRows } = await db
    .deleteFrom('scan')
    .where('id', 'in', (eb) =>
      eb
        .selectFrom('scan')
        .select('scan.id')
        .where('scan.run_id', 'is', null)
        .where('scan.ended_at', '<', before)
        .where((eb) =>
          eb.not(
            eb.exists(
              eb
                .selectFrom('scan_report')
                .select('scan_id')
                .whereRef('scan_report.scan_id', '=', 'scan.id')
                .where('scan_report.report_key', 'is not', null),
            ),
          ),
        )
        .limit(limit),
    )
    .executeTakeFirst();
  return Number(numDeletedRows);
}
