import type { Reason } from '../../domain/errors.ts';
import type { Finding } from '../../domain/scan.ts';
import type { Database, DatabaseTransaction } from '../database.ts';
import { newUuid } from '../new-id.ts';
import type { NewFinding, NewScanReport, ScanRow } from '../tables/scan.ts';

/** Rows of an insert: 13 columns each, below PostgreSQL's 65,535 parameters. */
const findingsPerInsert = 1_000;

export interface NewRunScan {
  readonly runId: string;
  readonly attempt: number;
  readonly repositoryId: string;
  readonly digest: string;
  readonly engine: string;
  readonly at: Date;
}

/** The id of the scan of this run and attempt; a repeated call finds the same one. */
export async function openRunScan(db: Database, scan: NewRunScan): Promise<string> {
  const { id } = await db
    .insertInto('scan')
    .values({
      id: newUuid(scan.at),
      run_id: scan.runId,
      attempt: scan.attempt,
      repository_id: scan.repositoryId,
      digest: scan.digest,
      engine: scan.engine,
      status: 'scanning',
      verdict: null,
      reason: JSON.stringify(null),
      created_at: scan.at,
      ended_at: null,
    })
    .onConflict((conflict) =>
      conflict
        .columns(['run_id', 'attempt'])
        .where('run_id', 'is not', null)
        .doUpdateSet((eb) => ({ engine: eb.ref('scan.engine') })),
    )
    .returning('id')
    .executeTakeFirstOrThrow();
  return id;
}

/** Shows whether a scan that has not ended waits for its next try. */
export async function noteScanStatus(
  db: Database,
  { scanId, status }: { scanId: string; status: Extract<ScanRow['status'], 'scanning' | 'retrying'> },
): Promise<void> {
  await db.updateTable('scan').set({ status }).where('id', '=', scanId).where('ended_at', 'is', null).execute();
}

/** Ends a scan. Repeated calls change nothing. */
export async function closeRunScan(
  db: Database,
  {
    scanId,
    verdict,
    reason,
    at,
  }: { scanId: string; verdict: NonNullable<ScanRow['verdict']>; reason: Reason | null; at: Date },
): Promise<void> {
  await db
    .updateTable('scan')
    .set({
      status: verdict === 'error' ? 'failed' : 'complete',
      verdict,
      reason: JSON.stringify(reason),
      ended_at: at,
    })
    .where('id', '=', scanId)
    .where('ended_at', 'is', null)
    .execute();
}

/** Replaces one architecture's report and all of its findings, in one transaction: readers see the old or the new, never a part. */
export async function replaceScanReport(
  db: Database,
  { report, findings, engine }: { report: NewScanReport; findings: readonly Finding[]; engine: string },
): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const { scan_id: scanId, platform, ...values } = report;
    await trx
      .insertInto('scan_report')
      .values(report)
      // The conflicting row stays locked till the end: a thawed worker's write waits and then replaces whole, too.
      .onConflict((conflict) => conflict.columns(['scan_id', 'platform']).doUpdateSet(withoutEnd(values)))
      .execute();
    await trx.deleteFrom('finding').where('scan_id', '=', scanId).where('platform', '=', platform).execute();
    await insertFindings(
      trx,
      findings.map((finding) => findingRow(finding, { scanId, engine })),
    );
  });
}

function withoutEnd({ ended_at: _endedAt, ...values }: Omit<NewScanReport, 'scan_id' | 'platform'>) {
  return values;
}

async function insertFindings(trx: DatabaseTransaction, rows: readonly NewFinding[]): Promise<void> {
  for (let from = 0; from < rows.length; from += findingsPerInsert) {
    await trx
      .insertInto('finding')
      .values(rows.slice(from, from + findingsPerInsert))
      .execute();
  }
}

function findingRow(finding: Finding, { scanId, engine }: { scanId: string; engine: string }): NewFinding {
  return {
    scan_id: scanId,
    platform: finding.platform,
    cve: finding.cve,
    severity: finding.severity,
    package: finding.package,
    installed_version: finding.installedVersion,
    fixed_version: finding.fixedVersion,
    kind: finding.kind,
    layer: finding.layer,
    engine,
    title: finding.title,
    url: finding.url,
  };
}
