import type { ColumnType, Generated, Insertable, Selectable, Updateable } from 'kysely';
import type { Reason } from '../../domain/errors.ts';
import type { Severity, SeverityCounts, Unscannable } from '../../domain/scan.ts';
import type { Json } from '../json.ts';

/** One examination of an image, all its architectures (docs/product.md, section 9). */
export interface ScanTable {
  id: string;
  run_id: string | null;
  /** Of the run; one scan per run and attempt. */
  attempt: number;
  repository_id: string;
  digest: string;
  engine: string;
  status: 'waiting' | 'scanning' | 'retrying' | 'complete' | 'failed';
  verdict: 'passed' | 'denied' | 'error' | null;
  reason: Json<Reason | null>;
  created_at: ColumnType<Date, Date, never>;
  ended_at: Date | null;
}

/** One architecture's report: natural key (scan, platform). */
export interface ScanReportTable {
  scan_id: string;
  platform: string;
  digest: string;
  unscannable: Unscannable | null;
  counts: Json<SeverityCounts>;
  fixable: Json<SeverityCounts>;
  engine_version: string;
  data_updated_at: Date | null;
  data_sha256: string | null;
  is_sample_data: boolean;
  /** null, as the next three: without data nothing was examined, so there is no report. */
  report_key: string | null;
  report_sha256: string | null;
  sbom_key: string | null;
  sbom_sha256: string | null;
  ended_at: ColumnType<Date, Date, never>;
}

export interface FindingTable {
  id: Generated<number>;
  scan_id: string;
  platform: string;
  cve: string;
  severity: Severity;
  package: string;
  installed_version: string;
  fixed_version: string | null;
  kind: 'os' | 'application';
  layer: string | null;
  engine: string;
  title: string | null;
  url: string | null;
}

export type ScanRow = Selectable<ScanTable>;
export type NewScan = Insertable<ScanTable>;
export type ScanUpdate = Updateable<ScanTable>;
export type ScanReportRow = Selectable<ScanReportTable>;
export type NewScanReport = Insertable<ScanReportTable>;
export type FindingRow = Selectable<FindingTable>;
export type NewFinding = Insertable<FindingTable>;
