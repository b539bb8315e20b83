import { z } from 'zod';
import { limits } from './limits.ts';
import type { Reason } from './errors.ts';

/** Severities from worst to least (docs/product.md, section 9). */
export const severities = ['critical', 'high', 'medium', 'low', 'unknown'] as const;
export type Severity = (typeof severities)[number];

/** Findings per severity. */
export type SeverityCounts = Readonly<Record<Severity, number>>;

/** The scan node of a chain: engine, blocking policy and what to do with a denied image (docs/product.md, section 9). */
export const scanPolicySchema = z
  .strictObject({
    engine: z.enum(['trivy']).default('trivy'),
    strategy: z.enum(['blocking', 'non_blocking']).default('non_blocking'),
    severity: z.enum(severities).nullable().default(null),
    vulnerabilities: z.int().min(1).max(100_000).nullable().default(null),
    cveList: z
      .array(z.string().regex(/^CVE-\d{4}-\d{4,}$/))
      .max(limits.cveListLength)
      .default([]),
    logic: z.enum(['or', 'and']).default('or'),
    fixableOnly: z.boolean().default(false),
    onBlock: z
      .strictObject({ deleteOriginal: z.boolean().default(false), backUp: z.boolean().default(false) })
      .default({ deleteOriginal: false, backUp: false }),
    holdTag: z.boolean().default(true),
    unscannable: z.enum(['block', 'allow']).default('block'),
    maxDataAgeHours: z.int().min(1).max(720).default(72),
    timeoutSeconds: z.int().min(60).max(1_080).default(900),
    retries: z.int().min(0).max(10).default(3),
  })
  .superRefine((policy, context) => {
    if (policy.strategy !== 'blocking' || policy.cveList.length > 0) return;
    if (policy.severity !== null && policy.vulnerabilities !== null) return;
    context.addIssue({
      code: 'custom',
      path: ['severity'],
      message:
        'A blocking scan needs a severity and a number of vulnerabilities, or a list of CVEs. Set them, or choose non_blocking.',
      params: { code: 'scan.rule_incomplete' },
    });
  });
export type ScanPolicy = z.infer<typeof scanPolicySchema>;

/** One vulnerability in one package of one architecture's image. */
export interface Finding {
  readonly platform: string;
  readonly cve: string;
  readonly severity: Severity;
  readonly package: string;
  readonly installedVersion: string;
  /** null: no fixed version is known. */
  readonly fixedVersion: string | null;
  /** `os` or `application`. */
  readonly kind: 'os' | 'application';
  readonly layer: string | null;
  readonly title: string | null;
  readonly url: string | null;
}

/** What one architecture's scan found, as far as the verdict needs it: small enough for a workflow's history. */
export interface ScanSummary {
  readonly platform: string;
  readonly digest: string;
  /** Why the image could not be examined, else null; `unscannable` follows the policy. */
  readonly unscannable: 'no_packages' | 'data_missing' | 'data_too_old' | null;
  readonly counts: SeverityCounts;
  /** Counts of findings that have a fixed version. */
  readonly fixable: SeverityCounts;
  /** Named CVEs of the policy's list that were found. */
  readonly listedCves: readonly string[];
  /** Names of up to five packages with the worst findings, worst first, for the sentence on the Record. */
  readonly worstPackages: readonly string[];
  /** Up to twenty CVE ids of the worst findings, worst first. */
  readonly worstCves: readonly string[];
  readonly engine: {
    readonly name: string;
    readonly version: string;
    readonly dataUpdatedAt: string | null;
    readonly isSampleData: boolean;
  };
}

export type Verdict =
  | { readonly kind: 'passed'; readonly reason: null }
  | { readonly kind: 'denied'; readonly reason: Reason; readonly platform: string; readonly rule: string };

export const noFindings: SeverityCounts = { critical: 0, high: 0, medium: 0, low: 0, unknown: 0 };

/** Adds counts of several images. */
export function addCounts(all: readonly SeverityCounts[]): SeverityCounts {
  const sum = { ...noFindings } satisfies Record<Severity, number>;
  for (const counts of all) for (const severity of severities) sum[severity] += counts[severity];
  return sum;
}

/** Counts findings by severity. */
export function countFindings(findings: readonly Pick<Finding, 'severity'>[]): SeverityCounts {
  const counts = { ...noFindings } satisfies Record<Severity, number>;
  for (const finding of findings) counts[finding.severity] += 1;
  return counts;
}

/** Findings at or above `severity`. */
export function countAtOrAbove(counts: SeverityCounts, severity: Severity): number {
  return severities.slice(0, severities.indexOf(severity) + 1).reduce((sum, each) => sum + counts[each], 0);
}

/**
 * Judges every architecture by the policy; the worst decides (docs/product.md, section 9). Pure: the same summaries and the
 * same policy always give the same verdict. A non-blocking policy passes everything.
 */
export function judge(summaries: readonly ScanSummary[], policy: ScanPolicy): Verdict {
  if (policy.strategy === 'non_blocking') return { kind: 'passed', reason: null };
  const denials = summaries.map((summary) => denialOf(summary, policy)).filter((denial) => denial !== undefined);
  const worst = denials.toSorted(
    (a, b) => Number(b.reason.params['count'] ?? 0) - Number(a.reason.params['count'] ?? 0),
  )[0];
  return worst ?? { kind: 'passed', reason: null };
}

type Denial = Extract<Verdict, { kind: 'denied' }>;

function denialOf(summary: ScanSummary, policy: ScanPolicy): Denial | undefined {
  if (summary.unscannable !== null)
    return policy.unscannable === 'block' ? unscannableDenial(summary, summary.unscannable) : undefined;
  const byCount = countDenial(summary, policy);
  const byList = listDenial(summary);
  if (
    policy.logic === 'and' &&
    policy.cveList.length > 0 &&
    policy.severity !== null &&
    policy.vulnerabilities !== null
  ) {
    return byCount !== undefined && byList !== undefined ? byCount : undefined;
  }
  return byCount ?? byList;
}

function countDenial(summary: ScanSummary, policy: ScanPolicy): Denial | undefined {
  if (policy.severity === null || policy.vulnerabilities === null) return undefined;
  const count = countAtOrAbove(policy.fixableOnly ? summary.fixable : summary.counts, policy.severity);
  if (count < policy.vulnerabilities) return undefined;
  const packages = summary.worstPackages.join(', ');
  const what = `${count} ${count === 1 ? 'finding' : 'findings'} at or above ${policy.severity}`;
  return {
    kind: 'denied',
    platform: summary.platform,
    rule: `${policy.fixableOnly ? 'fixable ' : ''}${policy.severity} ${count} ≥ ${policy.vulnerabilities}`,
    reason: {
      code: 'scan.denied',
      params: { count, severity: policy.severity, limit: policy.vulnerabilities, packages, platform: summary.platform },
      text: `Blocked: ${what} (limit ${policy.vulnerabilities})${packages === '' ? '' : ` in ${packages}`}`,
    },
  };
}

function listDenial(summary: ScanSummary): Denial | undefined {
  if (summary.listedCves.length === 0) return undefined;
  const cves = summary.listedCves.slice(0, 5).join(', ');
  return {
    kind: 'denied',
    platform: summary.platform,
    rule: `listed ${cves}`,
    reason: {
      code: 'scan.denied_cve',
      params: { count: summary.listedCves.length, cves, platform: summary.platform },
      text: `Blocked: the image holds ${cves}, which the policy names`,
    },
  };
}

const unscannableWords = {
  no_packages: 'no packages were found in it, so nothing could be examined',
  data_missing: 'the scan engine has no vulnerability data for it',
  data_too_old: 'the vulnerability data is older than the policy allows',
} as const;

function unscannableDenial(summary: ScanSummary, why: keyof typeof unscannableWords): Denial {
  return {
    kind: 'denied',
    platform: summary.platform,
    rule: `unscannable ${why}`,
    reason: {
      code: 'scan.unscannable',
      params: { why, platform: summary.platform },
      text: `Blocked: ${summary.platform} could not be judged, ${unscannableWords[why]}`,
    },
  };
}
