import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { advisoriesOf, parseChangelog, severityOf } from '../../stack/sample/advisories/changelog.ts';

const release = { release: 'bookworm', platform: 'debian 12' };

const perl = `perl (5.36.0-7+deb12u4) bookworm-security; urgency=high

  * Non-maintainer upload by the LTS Team.
  * [SECURITY] various upstream fixes:
    + CVE-2026-42496: Archive::Tar symlink extraction.
        (Closes: #1138860)
    + CVE-2026-48962: code execution in IO-Compress via output globs.
        (Closes: #1138854)
    + CVE-2026-48959: CPU exhaustion in IO::Uncompress::Unzip.

 -- A Maintainer <a@debian.org>  Tue, 29 Sep 2026 08:59:07 +0700

perl (5.36.0-7+deb12u3) bookworm; urgency=medium

  * [SECURITY] CVE-2023-31484: CPAN.pm now verifies TLS certificates.
                               (Closes: #1035109)

 -- A Maintainer <a@debian.org>  Fri, 29 Aug 2025 15:09:36 +0300

perl (5.36.0-7) unstable; urgency=medium

  * Fix CVE-2022-11111, a buffer overflow.

 -- A Maintainer <a@debian.org>  Sat, 25 Nov 2022 22:59:54 +0200
`;

describe('a changelog', () => {
  test('gives every CVE of the release with the upload that fixed it', () => {
    expect(advisoriesOf(parseChangelog(perl), release)).toEqual([
      {
        cve: 'CVE-2023-31484',
        platform: 'debian 12',
        source: 'perl',
        fixedVersion: '5.36.0-7+deb12u3',
        severity: 'MEDIUM',
        title: 'CPAN.pm now verifies TLS certificates',
      },
      {
        cve: 'CVE-2026-42496',
        platform: 'debian 12',
        source: 'perl',
        fixedVersion: '5.36.0-7+deb12u4',
        severity: 'HIGH',
        title: 'Archive::Tar symlink extraction',
      },
      {
        cve: 'CVE-2026-48962',
        platform: 'debian 12',
        source: 'perl',
        fixedVersion: '5.36.0-7+deb12u4',
        severity: 'CRITICAL',
        title: 'code execution in IO-Compress via output globs',
      },
      {
        cve: 'CVE-2026-48959',
        platform: 'debian 12',
        source: 'perl',
        fixedVersion: '5.36.0-7+deb12u4',
        severity: 'MEDIUM',
        title: 'CPU exhaustion in IO::Uncompress::Unzip',
      },
    ]);
  });

  test('takes the oldest upload that mentions a CVE as its fix', () => {
    const text = [
      'curl (2) bookworm-security; urgency=medium',
      '',
      '  * Complete the fix of CVE-2025-1111.',
      '',
      ' -- A <a@b.c>  Tue, 29 Sep 2026 08:59:07 +0700',
      '',
      'curl (1) bookworm-security; urgency=medium',
      '',
      '  * CVE-2025-1111: overflow in a parser',
    ].join('\n');
    expect(advisoriesOf(parseChangelog(text), release)).toMatchObject([{ cve: 'CVE-2025-1111', fixedVersion: '1' }]);
  });

  test('leaves out CVEs that do not concern the release, or were fixed before it', () => {
    const text = [
      'curl (2) bookworm; urgency=medium',
      '',
      '  * CVE-2025-2222 only affects 8.x, no patch needed.',
      '  * Follow-up to CVE-2021-3333.',
      '',
      'curl (1) unstable; urgency=medium',
      '',
      '  * Fix CVE-2021-3333.',
    ].join('\n');
    expect(advisoriesOf(parseChangelog(text), release)).toEqual([]);
  });

  test('names an item that is nothing but ids by the words above it, or by the package', () => {
    const text = [
      'git (1:2) bookworm-security; urgency=medium',
      '',
      '  * Fix two escapes from a work tree:',
      '    - CVE-2025-4444',
      '  * CVE-2025-5555',
    ].join('\n');
    expect(advisoriesOf(parseChangelog(text), release).map(({ title }) => title)).toEqual([
      'Fix two escapes from a work tree',
      'git security update',
    ]);
  });
});

test.each([
  ['code execution in a parser', 'medium', 'HIGH'],
  ['code execution in a parser', 'high', 'CRITICAL'],
  ['possible execution of arbitrary commands', 'emergency', 'CRITICAL'],
  ['local privilege escalation', 'low', 'MEDIUM'],
  ['heap buffer overflow', 'medium', 'MEDIUM'],
  ['heap buffer overflow', 'high', 'HIGH'],
  ['NULL pointer dereference', 'medium', 'LOW'],
  ['NULL pointer dereference', 'low', 'LOW'],
  ['NULL pointer dereference', 'critical', 'MEDIUM'],
  ['memory leak', 'no such urgency', 'LOW'],
])('"%s" in an upload of urgency %s is %s', (words, urgency, severity) => {
  expect(severityOf(words, urgency)).toBe(severity);
});

describe('the sample data', () => {
  const advisory = z.strictObject({
    cve: z.string().regex(/^CVE-\d{4}-\d{4,}$/),
    platform: z.literal('debian 12'),
    source: z.string().min(1),
    fixedVersion: z.string().regex(/^[0-9][\w.+:~-]*$/),
    severity: z.enum(['LOW', 'MEDIUM', 'HIGH', 'CRITICAL']),
    title: z.string().min(1).max(160),
  });
  const read = async () => {
    const text = await readFile(join(import.meta.dirname, '../../stack/sample/advisories/debian-12.jsonl'), 'utf8');
    return text
      .trimEnd()
      .split('\n')
      .map((line) => advisory.parse(JSON.parse(line)));
  };

  test('is well formed, sorted and without repetition', async () => {
    const keys = (await read()).map(({ source, cve }) => `${source} ${cve}`);
    expect(keys).toEqual([...new Set(keys)].toSorted());
    expect(keys.length).toBeGreaterThan(200);
  });

  test('has a critical finding for a base image that lacks the security updates', async () => {
    const found = (await read()).filter(({ source, severity }) => source === 'perl' && severity === 'CRITICAL');
    expect(found.map(({ fixedVersion }) => fixedVersion)).toContain('5.36.0-7+deb12u4');
  });
});
