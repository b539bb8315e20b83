import { expect, test } from 'vitest';
import { advisoryUrl, mergeFindings, viewFindings } from '../../console/src/findings.ts';
import { fixtureFindings } from '../support/console-fixture-data.ts';

test('a finding of both architectures is one row', () => {
  const rows = mergeFindings(fixtureFindings('scan-passed'));
  expect(rows).toHaveLength(16);
  expect(rows[0]?.platforms).toEqual(['linux/amd64', 'linux/arm64']);
});

test('rows are filtered by text, severity and fix, and sorted worst first', () => {
  const rows = mergeFindings(fixtureFindings('scan-denied'));
  const all = viewFindings(rows, { isFixableOnly: false, sort: 'severity' });
  expect([all[0]?.severity, all.at(-1)?.severity, all.length]).toEqual(['critical', 'unknown', rows.length]);
  const openssl = viewFindings(rows, { q: 'OPENSSL', isFixableOnly: true, sort: 'package' });
  expect(openssl.every((row) => row.package === 'openssl' && row.fixedVersion !== null)).toBe(true);
  expect(viewFindings(rows, { severity: 'high', isFixableOnly: false, sort: 'cve' })).toHaveLength(9);
});

test('only an https address of an advisory is a link', () => {
  expect(advisoryUrl('https://security-tracker.debian.org/tracker/CVE-1')).not.toBeNull();
  for (const url of ['javascript:alert(1)', 'http://plain.example', 'data:text/html,x', null])
    expect(advisoryUrl(url)).toBeNull();
});
