import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseTrivyReport, TrivyReportInvalid, unscannableOf } from '../../activities/drivers/trivy-report.ts';

// Recorded from Trivy 0.74.0 with the sample data, of images that hold just what their names say.
function recorded(name: string): { text: string; platform: string; digest: string } {
  const text = readFileSync(join(import.meta.dirname, '../fixtures/trivy', `${name}.json`), 'utf8');
  const { ArtifactName, Metadata } = JSON.parse(text);
  const { os, architecture, variant } = Metadata.ImageConfig;
  return {
    text,
    platform: [os, architecture, variant].filter(Boolean).join('/'),
    digest: ArtifactName.split('@')[1],
  };
}

function parse(name: string) {
  const { text, ...image } = recorded(name);
  return parseTrivyReport(text, image);
}

function altered(name: string, change: (report: Record<string, never>) => unknown): string {
  return JSON.stringify(change(JSON.parse(recorded(name).text)));
}

test('findings are told with platform, package, versions, severity, layer and where to read on', () => {
  const { facts, findings } = parse('findings');
  expect(facts).toEqual({ engineVersion: '0.74.0', os: 'debian 12.5', osPackages: 5, applicationPackages: 0 });
  expect(findings.map(({ cve, package: name, severity }) => `${severity} ${cve} ${name}`)).toEqual([
    'medium CVE-2026-109518 apt',
    'medium CVE-2026-109518 libapt-pkg6.0',
    'high CVE-2026-111497 libbrotli1',
    'medium CVE-2022-48303 tar',
    'medium CVE-2023-39804 tar',
  ]);
  expect(findings[2]).toEqual({
    platform: 'linux/arm64',
    cve: 'CVE-2026-111497',
    severity: 'high',
    package: 'libbrotli1',
    installedVersion: '1.0.9-2',
    fixedVersion: '1.0.9-2+deb12u1',
    kind: 'os',
    layer: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    title: expect.any(String),
    url: 'https://avd.aquasec.com/nvd/cve-2026-111497',
  });
});

test.each([
  ['findings', null],
  ['clean', null],
  ['application', null],
  ['os-and-application', null],
  ['no-packages', 'no_packages'],
  ['no-package-list', 'no_packages'],
] as const)('an image with %s is unscannable: %s', (name, expected) => {
  expect(unscannableOf(parse(name).facts, null)).toBe(expected);
});

test.each([
  ['findings', null],
  ['clean', null],
  ['other-release', 'data_missing'],
  ['application', 'data_missing'],
  ['os-and-application', 'data_missing'],
  ['no-packages', 'no_packages'],
] as const)('with data that knows Debian 12 only, an image with %s is unscannable: %s', (name, expected) => {
  expect(unscannableOf(parse(name).facts, ['debian 12'])).toBe(expected);
});

test('a release is not taken for another that begins alike', () => {
  const facts = { engineVersion: '1', os: 'alpine 3.19.1', osPackages: 1, applicationPackages: 0 };
  expect(unscannableOf(facts, ['alpine 3.1'])).toBe('data_missing');
  expect(unscannableOf(facts, ['alpine 3.19'])).toBeNull();
});

test.each([
  ['', 'it is not JSON'],
  ['{"SchemaVersion": 2, "Results": [', 'it is not JSON'],
  ['null', 'at its root'],
  ['{}', 'at SchemaVersion'],
  [altered('clean', (report) => ({ ...report, SchemaVersion: 3 })), 'at SchemaVersion'],
  [altered('clean', ({ Metadata: _metadata, ...report }) => report), 'at Metadata'],
  [altered('clean', (report) => ({ ...report, Results: 'none' })), 'at Results'],
  [
    altered('clean', (report) => ({ ...report, Results: [{ Class: 'os-pkgs', Vulnerabilities: [{}] }] })),
    'at Results.0.Vulnerabilities.0.VulnerabilityID',
  ],
])('the report %.40j is refused: %s', (text, problem) => {
  const { platform, digest } = recorded('clean');
  expect(() => parseTrivyReport(text, { platform, digest })).toThrow(TrivyReportInvalid);
  expect(() => parseTrivyReport(text, { platform, digest })).toThrow(problem);
});

test('a report about another digest is refused', () => {
  const { text, platform } = recorded('findings');
  const digest = `sha256:${'0'.repeat(64)}`;
  expect(() => parseTrivyReport(text, { platform, digest })).toThrow(`not about ${digest}`);
});

test.each([
  ['findings', 'linux/amd64', 'it is about an image for linux/arm64, not for linux/amd64'],
  ['application', 'linux/arm/v6', 'it is about an image for linux/arm/v7, not for linux/arm/v6'],
])('a report about another platform is refused: %s for %s', (name, platform, problem) => {
  const { text, digest } = recorded(name);
  expect(() => parseTrivyReport(text, { platform, digest })).toThrow(problem);
});

test('an image that leaves its variant out is taken for the one asked for', () => {
  const { text, digest } = recorded('findings');
  expect(parseTrivyReport(text, { platform: 'linux/arm64/v8', digest }).findings).toHaveLength(5);
});

function reportWith(vulnerabilities: readonly Readonly<Record<string, unknown>>[]) {
  const { platform, digest } = recorded('clean');
  const text = altered('clean', (report) => ({
    ...report,
    Results: [{ Class: 'lang-pkgs', Packages: [{}], Vulnerabilities: vulnerabilities }],
  }));
  return parseTrivyReport(text, { platform, digest }).findings;
}

test('one CVE in one package at several places is one finding of the worst severity', () => {
  const found = { VulnerabilityID: 'CVE-2024-1', PkgName: 'lodash', InstalledVersion: '4.17.20' };
  const findings = reportWith([
    { ...found, Severity: 'LOW' },
    { ...found, Severity: 'HIGH' },
    { ...found, Severity: 'MEDIUM' },
    { ...found, InstalledVersion: '3.0.0', Severity: 'LOW' },
  ]);
  expect(findings.map(({ severity, installedVersion, kind }) => [severity, installedVersion, kind])).toEqual([
    ['high', '4.17.20', 'application'],
    ['low', '3.0.0', 'application'],
  ]);
});

test('an unknown severity counts as unknown, an empty fixed version as none', () => {
  const [finding] = reportWith([
    { VulnerabilityID: 'CVE-2024-1', PkgName: 'a', Severity: 'NEGLIGIBLE', FixedVersion: '' },
  ]);
  expect(finding).toMatchObject({ severity: 'unknown', fixedVersion: null, layer: null, title: null, url: null });
});

test('names from inside an image bring no control characters, no endless texts and no script addresses', () => {
  const [finding] = reportWith([
    {
      VulnerabilityID: 'CVE-2024-1',
      PkgName: `evil\u0000name${'x'.repeat(1_000)}`,
      Title: `a\u001b[2Jb`,
      PrimaryURL: 'javascript:alert(1)',
    },
  ]);
  expect(finding?.package).toMatch(/^evil name/);
  expect(finding?.package).toHaveLength(255);
  expect(finding).toMatchObject({ title: 'a [2Jb', url: null });
});
