import { expect, test } from 'vitest';
import {
  addCounts,
  blockedTag,
  countAtOrAbove,
  countFindings,
  judge,
  noFindings,
  scanPolicySchema,
  severities,
  summarizeScan,
} from '../../domain/scan.ts';
import type { Finding, ScanPolicy, ScanSummary, Severity } from '../../domain/scan.ts';

const engine = { name: 'trivy', version: '0.74.0', dataUpdatedAt: '2026-11-21T10:00:00Z', isSampleData: false };

function blocking(policy: Readonly<Record<string, unknown>> = {}): ScanPolicy {
  return scanPolicySchema.parse({ strategy: 'blocking', severity: 'high', vulnerabilities: 2, ...policy });
}

function finding(
  severity: Severity,
  { cve = 'CVE-2024-0001', name = 'openssl', fixed = '2' }: { cve?: string; name?: string; fixed?: string | null } = {},
): Finding {
  return {
    platform: 'linux/amd64',
    cve,
    severity,
    package: name,
    installedVersion: '1',
    fixedVersion: fixed,
    kind: 'os',
    layer: null,
    title: null,
    url: null,
  };
}

function summary(
  policy: ScanPolicy,
  findings: readonly Finding[],
  facts: Partial<Pick<ScanSummary, 'platform' | 'unscannable'>> = {},
): ScanSummary {
  return summarizeScan({
    platform: 'linux/amd64',
    digest: 'sha256:1',
    unscannable: null,
    engine,
    ...facts,
    findings,
    policy,
  });
}

function verdictOf(policy: ScanPolicy, findings: readonly Finding[]): string {
  return judge([summary(policy, findings)], policy).kind;
}

test.each([
  ['one below the limit passes', ['high'], 'passed'],
  ['the limit denies', ['high', 'high'], 'denied'],
  ['more than the limit denies', ['high', 'high', 'high'], 'denied'],
  ['a worse severity counts too', ['critical', 'high'], 'denied'],
  ['only worse severities count too', ['critical', 'critical'], 'denied'],
  ['milder severities do not count', ['high', 'medium', 'medium', 'low', 'unknown'], 'passed'],
  ['a clean image passes', [], 'passed'],
] satisfies [string, Severity[], string][])('with high and 2, %s', (_name, found, expected) => {
  const findings = found.map((severity, index) => finding(severity, { cve: `CVE-2024-000${index}` }));
  expect(verdictOf(blocking(), findings)).toBe(expected);
});

test.each(severities.map((severity, index) => [severity, index] as const))(
  'a policy at %s counts that severity and all above it',
  (severity, index) => {
    const policy = blocking({ severity, vulnerabilities: index + 1 });
    const atOrAbove = severities.slice(0, index + 1).map((each) => finding(each));
    const below = severities.slice(index + 1).map((each) => finding(each));
    expect(verdictOf(policy, atOrAbove)).toBe('denied');
    expect(verdictOf(policy, [...atOrAbove.slice(1), ...below])).toBe('passed');
  },
);

test('a non-blocking policy passes whatever is found, also what could not be examined', () => {
  const policy = blocking({ strategy: 'non_blocking' });
  const found = [finding('critical'), finding('critical')];
  expect(judge([summary(policy, found), summary(policy, [], { unscannable: 'no_packages' })], policy)).toEqual({
    kind: 'passed',
    reason: null,
  });
});

test('with fixableOnly a finding without a fixed version does not count', () => {
  const policy = blocking({ fixableOnly: true });
  expect(verdictOf(policy, [finding('high'), finding('critical', { fixed: null })])).toBe('passed');
  expect(verdictOf(policy, [finding('high'), finding('critical')])).toBe('denied');
});

test.each([
  ['or', ['high'], 'CVE-2024-0009', 'passed'],
  ['or', ['high', 'high'], 'CVE-2024-0009', 'denied'],
  ['or', ['low'], 'CVE-2024-0001', 'denied'],
  ['and', ['high', 'high'], 'CVE-2024-0009', 'passed'],
  ['and', ['high'], 'CVE-2024-0001', 'passed'],
  ['and', ['high', 'high'], 'CVE-2024-0001', 'denied'],
] satisfies [string, Severity[], string, string][])(
  'a listed CVE joined by %s, findings %j, list %s: %s',
  (logic, found, listed, expected) => {
    const policy = blocking({ logic, cveList: [listed] });
    expect(
      verdictOf(
        policy,
        found.map((severity) => finding(severity)),
      ),
    ).toBe(expected);
  },
);

test.each(['or', 'and'])('a list alone denies by itself, whatever the severity (%s)', (logic) => {
  const policy = blocking({ severity: null, vulnerabilities: null, cveList: ['CVE-2024-0001'], logic });
  expect(judge([summary(policy, [finding('unknown', { fixed: null })])], policy)).toMatchObject({
    kind: 'denied',
    rule: 'listed CVE-2024-0001',
    reason: { code: 'scan.denied_cve', text: 'Blocked: the image holds CVE-2024-0001, which the policy names' },
  });
  expect(judge([summary(policy, [finding('critical', { cve: 'CVE-2024-0002' })])], policy).kind).toBe('passed');
});

test('a denial by both conditions names both', () => {
  const policy = blocking({ vulnerabilities: 1, logic: 'and', cveList: ['CVE-2024-0001'] });
  expect(judge([summary(policy, [finding('high')])], policy)).toMatchObject({
    rule: 'high 1 ≥ 1 and listed CVE-2024-0001',
    reason: {
      text: 'Blocked: 1 finding at or above high (limit 1) in openssl; it holds CVE-2024-0001, which the policy names',
    },
  });
});

test.each([
  ['no_packages', 'no packages were found in it, so nothing could be examined'],
  ['data_missing', 'the scan engine has no vulnerability data for it'],
  ['data_too_old', 'the vulnerability data is older than the policy allows'],
] as const)('an image that is unscannable by %s is blocked or allowed as the policy says', (unscannable, words) => {
  const block = blocking();
  expect(judge([summary(block, [], { unscannable })], block)).toEqual({
    kind: 'denied',
    platform: 'linux/amd64',
    rule: `unscannable ${unscannable}`,
    reason: {
      code: 'scan.unscannable',
      params: { why: unscannable, platform: 'linux/amd64' },
      text: `Blocked: linux/amd64 could not be judged, ${words}`,
    },
  });
  const allow = blocking({ unscannable: 'allow' });
  expect(judge([summary(allow, [], { unscannable })], allow).kind).toBe('passed');
});

test('what was found with old data denies by its findings, also where old data is allowed', () => {
  const policy = blocking({ unscannable: 'allow' });
  const found = [finding('high'), finding('critical')];
  expect(judge([summary(policy, found, { unscannable: 'data_too_old' })], policy)).toMatchObject({
    kind: 'denied',
    reason: { code: 'scan.denied' },
  });
});

test('the worst architecture decides, and counts of different architectures are not added', () => {
  const policy = blocking();
  const amd64 = summary(policy, [finding('high')]);
  const arm64 = summary(policy, [finding('high')], { platform: 'linux/arm64' });
  expect(judge([amd64, arm64], policy).kind).toBe('passed');

  const worse = summary(policy, [finding('high'), finding('high'), finding('critical')], { platform: 'linux/arm64' });
  const bad = summary(policy, [finding('high'), finding('high')]);
  expect(judge([bad, worse], policy)).toMatchObject({ kind: 'denied', platform: 'linux/arm64' });
});

test('a blocking policy never passes an image of which no architecture was examined', () => {
  expect(judge([], blocking())).toMatchObject({ kind: 'denied', reason: { code: 'scan.unscannable' } });
});

test('the sentence of a denial names what was counted, the limit and the packages', () => {
  const policy = blocking({ vulnerabilities: 1 });
  const found = [
    finding('low', { cve: 'CVE-2024-0004', name: 'zlib1g' }),
    finding('high', { cve: 'CVE-2024-0003', name: 'libexpat1' }),
    finding('critical', { cve: 'CVE-2024-0002' }),
  ];
  expect(judge([summary(policy, found)], policy)).toEqual({
    kind: 'denied',
    platform: 'linux/amd64',
    rule: 'high 2 ≥ 1',
    reason: {
      code: 'scan.denied',
      params: { count: 2, severity: 'high', limit: 1, packages: 'openssl, libexpat1', platform: 'linux/amd64' },
      text: 'Blocked: 2 findings at or above high (limit 1) in openssl, libexpat1',
    },
  });
});

test('a denial of fixable findings says that only those were counted', () => {
  const policy = blocking({ vulnerabilities: 1, fixableOnly: true });
  const found = [finding('critical', { name: 'perl-base', fixed: null }), finding('high')];
  expect(judge([summary(policy, found)], policy)).toMatchObject({
    rule: 'fixable high 1 ≥ 1',
    reason: { text: 'Blocked: 1 fixable finding at or above high (limit 1) in openssl' },
  });
});

test('a summary counts all and fixable findings, names what the policy counts first, and does not depend on order', () => {
  const policy = blocking({ severity: 'medium', fixableOnly: true, cveList: ['CVE-2024-0005', 'CVE-2024-0009'] });
  const found = [
    finding('critical', { cve: 'CVE-2024-0001', name: 'perl-base', fixed: null }),
    finding('medium', { cve: 'CVE-2024-0002', name: 'curl' }),
    finding('high', { cve: 'CVE-2024-0003', name: 'openssl' }),
    finding('high', { cve: 'CVE-2024-0003', name: 'libssl3' }),
    finding('low', { cve: 'CVE-2024-0005', name: 'tar' }),
  ];
  const expected = {
    platform: 'linux/amd64',
    digest: 'sha256:1',
    unscannable: null,
    engine,
    counts: { critical: 1, high: 2, medium: 1, low: 1, unknown: 0 },
    fixable: { critical: 0, high: 2, medium: 1, low: 1, unknown: 0 },
    listedCves: ['CVE-2024-0005'],
    worstPackages: ['libssl3', 'openssl', 'curl'],
    worstCves: ['CVE-2024-0003', 'CVE-2024-0002', 'CVE-2024-0001', 'CVE-2024-0005'],
  };
  expect(summary(policy, found)).toEqual(expected);
  expect(summary(policy, found.toReversed())).toEqual(expected);
});

test('a summary stays small however much is found', () => {
  const policy = blocking();
  const found = Array.from({ length: 20_000 }, (_, index) =>
    finding('high', { cve: `CVE-2024-${10_000 + index}`, name: `package-${index}` }),
  );
  expect(JSON.stringify(summary(policy, found)).length).toBeLessThan(2_000);
});

test('a denied image is kept under a tag that names the run and is a tag, however long the original is', () => {
  const runId = '01a1fe58-8217-709d-af16-78f76b40b9ba';
  expect(blockedTag('v1', runId)).toBe('v1_blocked_6b40b9ba');
  expect(blockedTag('v'.repeat(128), runId)).toBe(`${'v'.repeat(111)}_blocked_6b40b9ba`);
});

test.each([
  ['no condition at all', {}],
  ['a severity without a number', { severity: 'high' }],
  ['a number without a severity', { vulnerabilities: 3 }],
  ['half a count beside a list', { severity: 'high', cveList: ['CVE-2024-0001'] }],
])('a blocking policy with %s is incomplete', (_name, policy) => {
  const parsed = scanPolicySchema.safeParse({ strategy: 'blocking', ...policy });
  expect(parsed.error?.issues).toMatchObject([{ params: { code: 'scan.rule_incomplete' } }]);
});

test.each([
  ['a severity and a number', { strategy: 'blocking', severity: 'high', vulnerabilities: 1 }],
  ['a list alone', { strategy: 'blocking', cveList: ['CVE-2024-12345'] }],
  ['nothing when it does not block', { strategy: 'non_blocking' }],
])('a policy may have %s', (_name, policy) => {
  expect(scanPolicySchema.safeParse(policy).success).toBe(true);
});

test.each([
  { vulnerabilities: 0 },
  { vulnerabilities: 100_001 },
  { cveList: ['cve-2024-1'] },
  { cveList: Array.from({ length: 201 }, () => 'CVE-2024-0001') },
  { maxDataAgeHours: 721 },
  { timeoutSeconds: 59 },
  { timeoutSeconds: 1_081 },
  { retries: 11 },
  { severity: 'severe' },
  { engine: 'grype' },
  { surprise: true },
])('the policy %j is refused', (policy) => {
  expect(scanPolicySchema.safeParse(policy).success).toBe(false);
});

test('counts are added by severity', () => {
  const counts = countFindings([finding('high'), finding('high'), finding('unknown')]);
  expect(counts).toEqual({ ...noFindings, high: 2, unknown: 1 });
  expect(addCounts([counts, counts])).toEqual({ ...noFindings, high: 4, unknown: 2 });
  expect(countAtOrAbove(counts, 'low')).toBe(2);
});
