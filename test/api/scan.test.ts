import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openRunScan, replaceScanReport, closeRunScan } from '../../db/repositories/scan.ts';
import type { Finding } from '../../domain/scan.ts';
import { adminToken } from '../support/api.ts';
import { createInboxWorld } from '../support/inbox-world.ts';
import type { InboxWorld } from '../support/inbox-world.ts';
import { createMemoryObjects } from '../support/memory-objects.ts';
import { seedBuildRule, seedRepository } from '../support/seed.ts';

let world: InboxWorld;
const objects = createMemoryObjects();
beforeAll(async () => {
  world = await createInboxWorld({ objectStore: objects });
});
afterAll(() => world.close());

const digest = `sha256:${'d'.repeat(64)}`;
const finding = (cve: string, severity: Finding['severity'], more: Partial<Finding> = {}): Finding => ({
  platform: 'linux/amd64',
  cve,
  severity,
  package: 'openssl',
  installedVersion: '1',
  fixedVersion: '2',
  kind: 'os',
  layer: null,
  title: null,
  url: null,
  ...more,
});
const found = [
  finding('CVE-2026-0003', 'low', { package: 'bash', fixedVersion: null }),
  finding('CVE-2026-0002', 'critical'),
  finding('CVE-2026-0001', 'critical', { kind: 'application', package: 'left-pad' }),
  finding('CVE-2026-0004', 'high', { title: '100% <b>bad</b>' }),
];

/** A scan of one architecture that ended denied, with its report and SBOM in the store. */
async function seedScan() {
  const { db } = world.deps;
  const repository = await seedRepository(db, world.deps.secretBox);
  await seedBuildRule(db, repository.id, { ref: { type: 'branch', name: 'main' }, imageTags: [{ template: 'x' }] });
  await world.push(repository, {});
  const [run] = await world.runsOf(repository);
  const at = world.clock();
  const id = await openRunScan(db, {
    runId: run?.id ?? '',
    attempt: 1,
    repositoryId: repository.id,
    digest,
    engine: 'trivy',
    at,
  });
  const counts = { critical: 2, high: 1, medium: 0, low: 1, unknown: 0 };
  await replaceScanReport(db, {
    engine: 'trivy',
    findings: found,
    report: {
      scan_id: id,
      platform: 'linux/amd64',
      digest,
      unscannable: null,
      counts: JSON.stringify(counts),
      fixable: JSON.stringify({ ...counts, low: 0 }),
      engine_version: '0.74.0',
      data_updated_at: at,
      is_sample_data: true,
      report_key: `reports/${id}/linux-amd64.json`,
      report_sha256: 'x',
      sbom_key: `reports/${id}/linux-amd64.cdx.json`,
      sbom_sha256: 'x',
      ended_at: at,
    },
  });
  await closeRunScan(db, {
    scanId: id,
    verdict: 'denied',
    reason: { code: 'scan.denied', params: {}, text: 'Blocked: 2 findings' },
    at,
  });
  objects.put(`reports/${id}/linux-amd64.json`, Buffer.from('{"report":1}'));
  objects.put(`reports/${id}/linux-amd64.cdx.json`, Buffer.from('{"sbom":1}'));
  return { id, repository, run };
}

const cvesOf = ({ body }: { body: Readonly<Record<string, unknown>> | null }): unknown[] => {
  const items = body?.['items'];
  return Array.isArray(items) ? items.map((item: { cve: string }) => item.cve.slice(-1)) : [];
};

describe('a scan', () => {
  it('is shown with totals, per architecture, and with the sentence of its verdict', async () => {
    const { id, repository, run } = await seedScan();
    const scan = {
      id,
      repository: repository.id,
      run: run?.id,
      digest,
      status: 'complete',
      verdict: 'denied',
      reason: { text: 'Blocked: 2 findings' },
      counts: { critical: 2, high: 1 },
      fixable: { critical: 2, low: 0 },
      reports: [
        { platform: 'linux/amd64', engineVersion: '0.74.0', isSampleData: true, hasReport: true, unscannable: null },
      ],
    };
    expect((await world.call('GET', `/v1/scans/${id}`)).body).toMatchObject(scan);
    expect((await world.call('GET', `/v1/repositories/${repository.id}/scans`)).body).toMatchObject({
      items: [scan],
      nextCursor: null,
    });
  });

  it('lists what it found, the worst first, by pages', async () => {
    const { id } = await seedScan();
    const first = await world.call('GET', `/v1/scans/${id}/findings?limit=2`);
    expect(cvesOf(first)).toEqual(['1', '2']);
    const next = await world.call(
      'GET',
      `/v1/scans/${id}/findings?limit=2&cursor=${String(first.body?.['nextCursor'])}`,
    );
    expect(cvesOf(next)).toEqual(['4', '3']);
    expect(next.body?.['nextCursor']).toBeNull();
  });

  it.each([
    ['severity=critical', ['1', '2']],
    ['kind=application', ['1']],
    ['fixable=false', ['3']],
    ['fixable=true&severity=high', ['4']],
    ['q=OPENSSL', ['2', '4']],
    ['q=2026-0003', ['3']],
    ['q=100%25', ['4']],
    ['q=%25%25', []],
    ['platform=linux/arm64', []],
  ])('filters its findings by %s', async (query, cves) => {
    const { id } = await seedScan();
    expect(cvesOf(await world.call('GET', `/v1/scans/${id}/findings?${query}`))).toEqual(cves);
  });

  it('refuses a cursor under other filters', async () => {
    const { id } = await seedScan();
    const first = await world.call('GET', `/v1/scans/${id}/findings?limit=1`);
    const answer = await world.call(
      'GET',
      `/v1/scans/${id}/findings?limit=1&severity=low&cursor=${String(first.body?.['nextCursor'])}`,
    );
    expect(answer).toMatchObject({ status: 422, body: { code: 'cursor.invalid' } });
  });

  it.each([
    ['', 'application/json', '{"report":1}'],
    ['?format=cyclonedx&platform=linux/amd64', 'application/vnd.cyclonedx+json', '{"sbom":1}'],
  ])('hands out what the engine wrote: report%s', async (query, type, text) => {
    const { id } = await seedScan();
    const response = await world.app.request(`/v1/scans/${id}/report${query}`, {
      headers: { authorization: `Bearer ${adminToken}` },
    });
    expect([response.status, response.headers.get('content-type'), await response.text()]).toEqual([200, type, text]);
  });

  it('without a report of that architecture is 404, without any data 409', async () => {
    const { id } = await seedScan();
    expect(await world.call('GET', `/v1/scans/${id}/report?platform=linux/arm64`)).toMatchObject({
      status: 404,
      body: { code: 'scan_report.not_found' },
    });
    await world.deps.db.updateTable('scan_report').set({ report_key: null }).where('scan_id', '=', id).execute();
    expect(await world.call('GET', `/v1/scans/${id}/report`)).toMatchObject({
      status: 409,
      body: { code: 'scan.no_report' },
    });
  });

  it('nobody knows is 404, without a login 401', async () => {
    for (const path of ['/v1/scans/none', '/v1/scans/none/findings', '/v1/scans/none/report']) {
      expect(await world.call('GET', path)).toMatchObject({ status: 404, body: { code: 'scan.not_found' } });
      expect((await world.call('GET', path, { isLoggedIn: false })).status).toBe(401);
    }
  });
});
