import type { Severity } from '../../domain/scan.ts';
import type { ScanFinding } from './api-types.ts';

/** One vulnerability of one package, with every architecture that has it. */
export interface FindingRow extends Omit<ScanFinding, 'platform'> {
  readonly platforms: readonly string[];
}

export const findingSorts = ['severity', 'cve', 'package'] as const;
export type FindingSort = (typeof findingSorts)[number];

export interface FindingView {
  readonly severity?: string | undefined;
  readonly q?: string | undefined;
  readonly isFixableOnly: boolean;
  readonly sort: FindingSort;
}

const rank: Record<Severity, number> = { critical: 0, high: 1, medium: 2, low: 3, unknown: 4 };

/** Joins what differs only in the architecture: an image for two of them has most findings twice. */
export function mergeFindings(findings: readonly ScanFinding[]): readonly FindingRow[] {
  const rows = new Map<string, FindingRow>();
  for (const { platform, ...finding } of findings) {
    const key = JSON.stringify([finding.cve, finding.package, finding.installedVersion, finding.kind]);
    const row = rows.get(key);
    rows.set(key, { ...(row ?? finding), platforms: [...(row?.platforms ?? []), platform].toSorted() });
  }
  return [...rows.values()];
}

/** The rows a reader asked for, in their order; equal ones by CVE. */
export function viewFindings(rows: readonly FindingRow[], view: FindingView): readonly FindingRow[] {
  const wanted = view.q?.toLowerCase() ?? '';
  return rows
    .filter(({ severity }) => view.severity === undefined || severity === view.severity)
    .filter(({ fixedVersion }) => !view.isFixableOnly || fixedVersion !== null)
    .filter((row) => `${row.cve} ${row.package} ${row.title ?? ''}`.toLowerCase().includes(wanted))
    .toSorted((a, b) => compare(a, b, view.sort) || a.cve.localeCompare(b.cve, 'en', { numeric: true }));
}

function compare(a: FindingRow, b: FindingRow, sort: FindingSort): number {
  switch (sort) {
    case 'severity':
      return rank[a.severity] - rank[b.severity];
    case 'cve':
      return a.cve.localeCompare(b.cve, 'en', { numeric: true });
    case 'package':
      return a.package.localeCompare(b.package, 'en');
  }
}

/** An advisory's address when it is one a browser may follow. */
export function advisoryUrl(url: string | null): string | null {
  return url?.startsWith('https://') === true ? url : null;
}
