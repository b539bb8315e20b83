import { sql } from 'kysely';
import { notFound } from '../../domain/errors.ts';
import type { PageQuery } from '../../domain/page.ts';
import { severities } from '../../domain/scan.ts';
import type { Severity } from '../../domain/scan.ts';
import type { Database } from '../database.ts';
import type { FindingRow, ScanReportRow, ScanRow } from '../tables/scan.ts';

/** A scan with the report of each architecture. */
export interface ScanWithReports extends ScanRow {
  readonly reports: readonly ScanReportRow[];
}

/** Throws 404 `scan.not_found`. */
export async function getScan(db: Database, id: string): Promise<ScanWithReports> {
  const scan = await db.selectFrom('scan').selectAll().where('id', '=', id).executeTakeFirst();
  if (scan === undefined) throw notFound('scan', id);
  const [whole] = await withReports(db, [scan]);
  return whole ?? { ...scan, reports: [] };
}

/** A repository's scans, newest first. */
export async function listScans(
  db: Database,
  repositoryId: string,
  { limit, after }: PageQuery,
): Promise<ScanWithReports[]> {
  let query = db.selectFrom('scan').selectAll().where('repository_id', '=', repositoryId);
  if (after !== undefined) {
    query = query.where(sql<boolean>`(created_at, id) < (${new Date(after.key)}, ${after.id})`);
  }
  const scans = await query
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(limit + 1)
    .execute();
  return withReports(db, scans);
}

async function withReports(db: Database, scans: readonly ScanRow[]): Promise<ScanWithReports[]> {
  if (scans.length === 0) return [];
  const ids = scans.map((scan) => scan.id);
  const rows = await db.selectFrom('scan_report').selectAll().where('scan_id', 'in', ids).orderBy('platform').execute();
  return scans.map((scan) => ({ ...scan, reports: rows.filter((row) => row.scan_id === scan.id) }));
}

/** What `GET /v1/scans/{id}/findings` filters by. */
export interface FindingFilter {
  readonly severity?: Severity | undefined;
  readonly kind?: 'os' | 'application' | undefined;
  /** Part of a CVE, package or title, whatever its case. */
  readonly q?: string | undefined;
  readonly fixable?: boolean | undefined;
  readonly platform?: string | undefined;
}

export type RankedFinding = FindingRow & {
  /** 1 is the worst severity. */
  readonly rank: number;
};

const rank = sql<number>`array_position(array[${sql.join(severities)}]::text[], severity)`;

/** Findings of a scan, the worst first, then by CVE. */
export async function listFindings(
  db: Database,
  { scanId, ...filter }: FindingFilter & { scanId: string },
  { limit, after }: PageQuery,
): Promise<RankedFinding[]> {
  const { severity, kind, q, fixable, platform } = filter;
  let query = db.selectFrom('finding').selectAll().select(rank.as('rank')).where('scan_id', '=', scanId);
  if (severity !== undefined) query = query.where('severity', '=', severity);
  if (kind !== undefined) query = query.where('kind', '=', kind);
  if (platform !== undefined) query = query.where('platform', '=', platform);
  if (fixable !== undefined) query = query.where('fixed_version', fixable ? 'is not' : 'is', null);
  if (q !== undefined) {
    const text = `%${q.replaceAll(/[\\%_]/g, String.raw`\$&`)}%`;
    query = query.where((eb) =>
      eb.or((['cve', 'package', 'title'] as const).map((column) => eb(column, 'ilike', text))),
    );
  }
  if (after !== undefined) {
    const [place = '', cve = ''] = after.key.split('|');
    query = query.where(sql<boolean>`(${rank}, cve, id) > (${Number(place)}, ${cve}, ${Number(after.id)})`);
  }
  return query
    .orderBy(rank)
    .orderBy('cve')
    .orderBy('id')
    .limit(limit + 1)
    .execute();
}
