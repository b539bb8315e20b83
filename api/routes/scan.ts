import { z } from '@hono/zod-openapi';
import { getRepository } from '../../db/repositories/repository.ts';
import { getScan, listFindings, listScans } from '../../db/repositories/scan-read.ts';
import type { RankedFinding, ScanWithReports } from '../../db/repositories/scan-read.ts';
import { architectures } from '../../domain/build.ts';
import { conflict, notFound } from '../../domain/errors.ts';
import { addCounts, severities, unscannableReasons } from '../../domain/scan.ts';
import type { ApiDeps } from '../deps.ts';
import { pageOf, pageQuery, toPage } from '../page.ts';
import { idParam, json, newRoutes, route } from '../route.ts';
import { reasonSchema, timeOf, timeOrNull, timeSchema } from '../shapes.ts';

const reportMs = 60_000;
const countsSchema = z.record(z.enum(severities), z.int());
const reportSchema = z.object({
  platform: z.string(),
  digest: z.string(),
  unscannable: z.enum(unscannableReasons).nullable(),
  counts: countsSchema,
  fixable: countsSchema,
  engineVersion: z.string(),
  dataUpdatedAt: timeSchema.nullable(),
  isSampleData: z.boolean(),
  hasReport: z.boolean(),
});
const scanSchema = z
  .object({
    id: z.string(),
    repository: z.string(),
    run: z.string().nullable(),
    digest: z.string(),
    engine: z.string(),
    status: z.enum(['waiting', 'scanning', 'retrying', 'complete', 'failed']),
    verdict: z.enum(['passed', 'denied', 'error']).nullable(),
    reason: reasonSchema.nullable(),
    counts: countsSchema.openapi({ description: 'Findings of all architectures together.' }),
    fixable: countsSchema,
    reports: z.array(reportSchema),
    createdAt: timeSchema,
    endedAt: timeSchema.nullable(),
  })
  .openapi('Scan');
const findingSchema = z
  .object({
    id: z.string(),
    platform: z.string(),
    cve: z.string(),
    severity: z.enum(severities),
    package: z.string(),
    installedVersion: z.string(),
    fixedVersion: z.string().nullable(),
    kind: z.enum(['os', 'application']),
    layer: z.string().nullable(),
    engine: z.string(),
    title: z.string().nullable(),
    url: z.string().nullable(),
  })
  .openapi('Finding');

const noCounts = { critical: 0, high: 0, medium: 0, low: 0, unknown: 0 };
const scanExample = {
  id: '019ab2c4-7d10-7c3e-9c11-2f1e0a9b8c80',
  repository: 'crr-8f2k1m9q0w3e5r7t',
  run: '019ab2c4-7d10-7c3e-9c11-2f1e0a9b8c7d',
  digest: 'sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945',
  engine: 'trivy',
  status: 'complete',
  verdict: 'passed',
  reason: null,
  counts: noCounts,
  fixable: noCounts,
  reports: [],
  createdAt: '2026-11-21T12:02:00.000Z',
  endedAt: '2026-11-21T12:02:20.000Z',
};
const findingExample = {
  id: '88',
  platform: 'linux/amd64',
  cve: 'CVE-2026-1234',
  severity: 'high',
  package: 'openssl',
  installedVersion: '3.0.11-1',
  fixedVersion: '3.0.15-1',
  kind: 'os',
  layer: null,
  engine: 'trivy',
  title: null,
  url: null,
};
const meta = { action: 'cr:GetScan', resource: 'repository/{instance}/{namespace}/{repository}' } as const;

const list = route(
  { ...meta, example: { items: [scanExample], nextCursor: null } },
  {
    method: 'get',
    path: '/repositories/{id}/scans',
    summary: 'List the scans of a repository',
    request: { params: idParam, query: pageQuery },
    responses: { 200: json(pageOf(scanSchema), 'Scans, newest first.') },
  },
);
const read = route(
  { ...meta, example: scanExample },
  {
    method: 'get',
    path: '/scans/{id}',
    summary: 'Read a scan with its totals per architecture',
    request: { params: idParam },
    responses: { 200: json(scanSchema, 'The scan.') },
  },
);
const findings = route(
  { ...meta, example: { items: [findingExample], nextCursor: null } },
  {
    method: 'get',
    path: '/scans/{id}/findings',
    summary: 'List what a scan found',
    request: {
      params: idParam,
      query: pageQuery
        .extend({
          severity: z.enum(severities).optional(),
          kind: z.enum(['os', 'application']).optional(),
          q: z.string().min(1).max(200).optional().openapi({ description: 'Part of a CVE, package or title.' }),
          fixable: z
            .enum(['true', 'false'])
            .transform((text) => text === 'true')
            .optional(),
          platform: z.enum(architectures).optional(),
        })
        .strict(),
    },
    responses: { 200: json(pageOf(findingSchema), 'Findings, the worst first.') },
  },
);
const report = route(
  { ...meta, example: null },
  {
    method: 'get',
    path: '/scans/{id}/report',
    summary: "Download one architecture's report or SBOM as the engine wrote it",
    request: {
      params: idParam,
      query: z.strictObject({
        format: z.enum(['json', 'cyclonedx']).default('json'),
        platform: z.enum(architectures).optional().openapi({ description: 'Left out: the first architecture.' }),
      }),
    },
    responses: { 200: { description: 'The file.' } },
  },
);

/** Scans, what they found and what the engine wrote (docs/product.md, section 9, "Results page"). */
export function scanRoutes({ db, cursors, objectStore }: Pick<ApiDeps, 'db' | 'cursors' | 'objectStore'>) {
  return newRoutes('scan')
    .openapi(list, async (c) => {
      const { id } = await getRepository(db, c.req.valid('param').id);
      const query = c.req.valid('query');
      const filters = ['scans', id];
      const rows = await listScans(db, id, cursors.read(query, filters));
      const cursorOf = (scan: ScanWithReports) => cursors.write({ key: timeOf(scan.created_at), id: scan.id }, filters);
      return c.json(toPage(c, { rows, limit: query.limit, toItem: toApiScan, cursorOf }), 200);
    })
    .openapi(read, async (c) => c.json(toApiScan(await getScan(db, c.req.valid('param').id)), 200))
    .openapi(findings, async (c) => {
      const { id: scanId } = await getScan(db, c.req.valid('param').id);
      const { limit, cursor, ...filter } = c.req.valid('query');
      const filters = ['findings', scanId, filter];
      const rows = await listFindings(db, { scanId, ...filter }, cursors.read({ limit, cursor }, filters));
      const cursorOf = (row: RankedFinding) =>
        cursors.write({ key: `${row.rank}|${row.cve}`, id: String(row.id) }, filters);
      return c.json(toPage(c, { rows, limit, toItem: toApiFinding, cursorOf }), 200);
    })
    .openapi(report, async (c) => {
      const scan = await getScan(db, c.req.valid('param').id);
      const { format, platform } = c.req.valid('query');
      const { key, name } = reportFile(scan, { format, platform });
      const signal = AbortSignal.any([c.req.raw.signal, AbortSignal.timeout(reportMs)]);
      const file = await objectStore.objectGet(key, { signal });
      return new Response(ReadableStream.from(file), {
        headers: {
          'content-type': format === 'json' ? 'application/json' : 'application/vnd.cyclonedx+json',
          'content-disposition': `attachment; filename="${name}"`,
        },
      });
    });
}

function reportFile(
  scan: ScanWithReports,
  { format, platform }: { format: 'json' | 'cyclonedx'; platform: string | undefined },
): { key: string; name: string } {
  const row = scan.reports.find((each) => platform === undefined || each.platform === platform);
  if (row === undefined) throw notFound('scan_report', `${scan.id} ${platform ?? ''}`.trim());
  const key = format === 'json' ? row.report_key : row.sbom_key;
  if (key === null) {
    throw conflict(
      'scan.no_report',
      `There is no file for ${row.platform}: there was no vulnerability data the engine could use, or the file was kept as long as files are. Scan again.`,
    );
  }
  const name = `${scan.id}-${row.platform.replaceAll('/', '-')}.${format === 'json' ? 'json' : 'cdx.json'}`;
  return { key, name };
}

function toApiScan(scan: ScanWithReports): z.infer<typeof scanSchema> {
  return {
    id: scan.id,
    repository: scan.repository_id,
    run: scan.run_id,
    digest: scan.digest,
    engine: scan.engine,
    status: scan.status,
    verdict: scan.verdict,
    reason: scan.reason,
    counts: addCounts(scan.reports.map(({ counts }) => counts)),
    fixable: addCounts(scan.reports.map(({ fixable }) => fixable)),
    reports: scan.reports.map((row) => ({
      platform: row.platform,
      digest: row.digest,
      unscannable: row.unscannable,
      counts: row.counts,
      fixable: row.fixable,
      engineVersion: row.engine_version,
      dataUpdatedAt: timeOrNull(row.data_updated_at),
      isSampleData: row.is_sample_data,
      hasReport: row.report_key !== null,
    })),
    createdAt: timeOf(scan.created_at),
    endedAt: timeOrNull(scan.ended_at),
  };
}

function toApiFinding(row: RankedFinding): z.infer<typeof findingSchema> {
  return {
    id: String(row.id),
    platform: row.platform,
    cve: row.cve,
    severity: row.severity,
    package: row.package,
    installedVersion: row.installed_version,
    fixedVersion: row.fixed_version,
    kind: row.kind,
    layer: row.layer,
    engine: row.engine,
    title: row.title,
    url: row.url,
  };
}
