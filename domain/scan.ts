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
    if (policy.strategy !== 'blocking') return;
    const isCountSet = policy.severity !== null && policy.vulnerabilities !== null;
    const isCountUnset = policy.severity === null && policy.vulnerabilities === null;
    // Half a count would be ignored in silence, also beside a list of CVEs.
    if (isCountSet || (isCountUnset && policy.cveList.length > 0)) return;
    context.addIssue({
      code: 'custom',
      path: [policy.severity === null ? 'severity' : 'vulnerabilities'],
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

/** Why an image could not be fully examined (docs/product.md, section 9, "unscannable"). */
export const unscannableReasons = ['no_packages', 'data_missing', 'data_too_old'] as const;
export type Unscannable = (typeof unscannableReasons)[number];

/** What one architecture's scan found, as far as the verdict needs it: small enough for a workflow's history. */
export interface ScanSummary {
  readonly platform: string;
  readonly digest: string;
  /** Why the image could not be fully examined, else null; the policy's `unscannable` says whether that blocks. */
  readonly unscannable: Unscannable | null;
  readonly counts: SeverityCounts;
  /** Counts of findings that have a fixed version. */
  readonly fixable: SeverityCounts;
  /** Named CVEs of the policy's list that were found. */
  readonly listedCves: readonly string[];
  /** Names of up to five packages whose findings the policy counts, worst first, for the sentence on the Record. */
  readonly worstPackages: readonly string[];
  /** Up to twenty CVE ids, those the policy counts first, then worst first. */
  readonly worstCves: readonly string[];
  readonly engine: ScanEngine;
}

/** What examined an image: the engine and the age of its vulnerability data (RFC 3339). */
export interface ScanEngine {
  readonly name: string;
  readonly version: string;
  readonly dataUpdatedAt: string | null;
  readonly isSampleData: boolean;
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

/** Whether the policy counts this finding: at or above its severity, and fixable where only those count. */
function isCounted(finding: Finding, policy: ScanPolicy): boolean {
  const isSevere =
    policy.severity === null || severities.indexOf(finding.severity) <= severities.indexOf(policy.severity);
  return isSevere && (!policy.fixableOnly || finding.fixedVersion !== null);
}

/** Sums one architecture's findings up for the verdict and the Record. Pure, and the same for any order of findings. */
export function summarizeScan({
  findings,
  policy,
  ...facts
}: Pick<ScanSummary, 'platform' | 'digest' | 'unscannable' | 'engine'> & {
  readonly findings: readonly Finding[];
  readonly policy: ScanPolicy;
}): ScanSummary {
  const rank = (finding: Finding) =>
    severities.indexOf(finding.severity) + (isCounted(finding, policy) ? 0 : severities.length);
  const byName = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
  const worstFirst = findings.toSorted(
    (a, b) => rank(a) - rank(b) || byName(a.cve, b.cve) || byName(a.package, b.package),
  );
  const counted = worstFirst.filter((finding) => isCounted(finding, policy));
  const found = new Set(findings.map((finding) => finding.cve));
  return {
    ...facts,
    counts: countFindings(findings),
    fixable: countFindings(findings.filter((finding) => finding.fixedVersion !== null)),
    listedCves: policy.cveList.filter((cve) => found.has(cve)),
    worstPackages: [...new Set(counted.map((finding) => finding.package))].slice(0, 5),
    worstCves: [...new Set(worstFirst.map((finding) => finding.cve))].slice(0, 20),
  };
}

/** The tag under which a denied image is kept: it starts, replicates and triggers nothing (docs/product.md, section 9). */
export function blockedTag(tag: string, runId: string): string {
  // The last eight of a run's id are random; the first eight are its time, the same for all runs of a minute.
  const suffix = `_blocked_${runId.slice(-8)}`;
  return tag.slice(0, limits.imageTagLength - suffix.length) + suffix;
}

/**
 * Judges every architecture by the policy; the worst decides (docs/product.md, section 9). Pure: the same summaries and the
 * same policy always give the same verdict. A non-blocking policy passes everything; a blocking one never passes an image of
 * which nothing was examined.
 */
export function judge(summaries: readonly ScanSummary[], policy: ScanPolicy): Verdict {
  if (policy.strategy === 'non_blocking') return { kind: 'passed', reason: null };
  if (summaries.length === 0) return nothingExamined;
  const denials = summaries.map((summary) => denialOf(summary, policy)).filter((denial) => denial !== undefined);
  const worst = denials.toSorted(
    (a, b) => Number(b.reason.params['count'] ?? 0) - Number(a.reason.params['count'] ?? 0),
  )[0];
  return worst ?? { kind: 'passed', reason: null };
}

type Denial = Extract<Verdict, { kind: 'denied' }>;

const nothingExamined: Denial = {
  kind: 'denied',
  platform: 'none',
  rule: 'unscannable no_architecture',
  reason: {
    code: 'scan.unscannable',
    params: { why: 'no_architecture' },
    text: 'Blocked: the image names no architecture, so nothing could be examined',
  },
};

/** What an engine did find counts even where it could not look everywhere. */
function denialOf(summary: ScanSummary, policy: ScanPolicy): Denial | undefined {
  const byCount = countDenial(summary, policy);
  const byList = listDenial(summary);
  const isBoth = policy.logic === 'and' && policy.cveList.length > 0 && policy.severity !== null;
  const found = isBoth ? byCount && byList && bothDenial(byCount, byList) : (byCount ?? byList);
  if (found !== undefined || summary.unscannable === null || policy.unscannable === 'allow') return found;
  return unscannableDenial(summary, summary.unscannable);
}

function bothDenial(byCount: Denial, byList: Denial): Denial {
  return {
    ...byCount,
    rule: `${byCount.rule} and ${byList.rule}`,
    reason: {
      ...byCount.reason,
      params: { ...byCount.reason.params, cves: byList.reason.params['cves'] ?? '' },
      text: `${byCount.reason.text}; it holds ${byList.reason.params['cves']}, which the policy names`,
    },
  };
}

function countDenial(summary: ScanSummary, policy: ScanPolicy): Denial | undefined {
  if (policy.severity === null || policy.vulnerabilities === null) return undefined;
  const count = countAtOrAbove(policy.fixableOnly ? summary.fixable : summary.counts, policy.severity);
  if (count < policy.vulnerabilities) return undefined;
  const packages = summary.worstPackages.join(', ');
  const kind = `${policy.fixableOnly ? 'fixable ' : ''}${count === 1 ? 'finding' : 'findings'}`;
  const what = `${count} ${kind} at or above ${policy.severity}`;
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
  const more = summary.listedCves.length - 5;
  const cves = summary.listedCves.slice(0, 5).join(', ') + (more > 0 ? ` and ${more} more` : '');
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

const unscannableWords: Readonly<Record<Unscannable, string>> = {
  no_packages: 'no packages were found in it, so nothing could be examined',
  data_missing: 'the scan engine has no vulnerability data for it',
  data_too_old: 'the vulnerability data is older than the policy allows',
};

function unscannableDenial(summary: ScanSummary, why: Unscannable): Denial {
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
