import { z } from 'zod';
import { severities } from '../../domain/scan.ts';
import type { Finding, Severity, Unscannable } from '../../domain/scan.ts';

/** The report cannot be used: garbage, too large, or about another image. Nothing was judged by it. */
export class TrivyReportInvalid extends Error {
  override readonly name = 'TrivyReportInvalid';

  constructor(problem: string, options?: ErrorOptions) {
    super(`The scanner's report cannot be used: ${problem}`, options);
  }
}

/** What the engine saw in the image, apart from findings. */
export interface ReportFacts {
  readonly engineVersion: string;
  /** Family and release as the engine names them, `debian 12.5`; null when it recognised no distribution. */
  readonly os: string | null;
  readonly osPackages: number;
  readonly applicationPackages: number;
}

export interface ParsedReport {
  readonly facts: ReportFacts;
  /** One per CVE, package and version. */
  readonly findings: readonly Finding[];
}

const optionalText = z.string().nullish();

const vulnerabilitySchema = z.looseObject({
  VulnerabilityID: z.string().min(1),
  PkgName: z.string().min(1),
  InstalledVersion: z.string().default(''),
  FixedVersion: optionalText,
  Severity: z.string().default('UNKNOWN'),
  Layer: z.looseObject({ Digest: optionalText, DiffID: optionalText }).nullish(),
  Title: optionalText,
  PrimaryURL: optionalText,
});

const reportSchema = z.looseObject({
  SchemaVersion: z.literal(2),
  Trivy: z.looseObject({ Version: z.string().min(1) }),
  Metadata: z.looseObject({
    OS: z.looseObject({ Family: z.string(), Name: z.string().default('') }).nullish(),
    RepoDigests: z.array(z.string()),
    ImageConfig: z.looseObject({ os: z.string(), architecture: z.string(), variant: optionalText }),
  }),
  Results: z
    .array(
      z.looseObject({
        Class: z.string(),
        Packages: z.array(z.unknown()).nullish(),
        Vulnerabilities: z.array(vulnerabilitySchema).nullish(),
      }),
    )
    .nullish(),
});

type Report = z.infer<typeof reportSchema>;

/**
 * Reads a report of `trivy image --format json` (schema 2). Throws `TrivyReportInvalid` unless it is about this very image:
 * asked for another platform, Trivy answers with the one it finds and exit code 0.
 */
export function parseTrivyReport(
  text: string,
  { platform, digest }: { readonly platform: string; readonly digest: string },
): ParsedReport {
  const report = readReport(text);
  const { RepoDigests, ImageConfig } = report.Metadata;
  if (!RepoDigests.some((each) => each.endsWith(`@${digest}`)))
    throw new TrivyReportInvalid(`it is about ${RepoDigests.join(', ') || 'no digest'}, not about ${digest}.`);
  if (!isPlatform(ImageConfig, platform)) {
    const { os, architecture, variant } = ImageConfig;
    const found = [os, architecture, ...(variant ? [variant] : [])].join('/');
    throw new TrivyReportInvalid(`it is about an image for ${found}, not for ${platform}.`);
  }
  return { facts: factsOf(report), findings: findingsOf(report, platform) };
}

/** Why the engine cannot answer for this image, else null. `covers`: the only releases its data knows; null: all it supports. */
export function unscannableOf(
  { os, osPackages, applicationPackages }: ReportFacts,
  covers: readonly string[] | null,
): Unscannable | null {
  // A distribution without its package list is one that was hidden, or one the engine cannot read.
  if (osPackages + applicationPackages === 0 || (os !== null && osPackages === 0)) return 'no_packages';
  if (covers === null) return null;
  const isOsCovered = os === null || covers.some((release) => os === release || os.startsWith(`${release}.`));
  return isOsCovered && applicationPackages === 0 ? null : 'data_missing';
}

function readReport(text: string): Report {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new TrivyReportInvalid('it is not JSON.', { cause: error });
  }
  const parsed = reportSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new TrivyReportInvalid(
    `at ${issue?.path.join('.') || 'its root'}, ${issue?.message ?? 'it has another form'}.`,
  );
}

function isPlatform({ os, architecture, variant }: Report['Metadata']['ImageConfig'], platform: string): boolean {
  const [wantedOs, wantedArchitecture, wantedVariant] = platform.split('/');
  if (os !== wantedOs || architecture !== wantedArchitecture) return false;
  // Many images leave their variant out; one that is named must be the one asked for.
  return !variant || wantedVariant === undefined || variant === wantedVariant;
}

function factsOf({ Trivy, Metadata, Results }: Report): ReportFacts {
  const count = (isOs: boolean) =>
    (Results ?? [])
      .filter((result) => (result.Class === 'os-pkgs') === isOs)
      .reduce((sum, result) => sum + (result.Packages?.length ?? 0), 0);
  const { OS } = Metadata;
  return {
    engineVersion: Trivy.Version,
    os: OS && OS.Family !== 'none' ? clean(`${OS.Family} ${OS.Name}`, 100) : null,
    osPackages: count(true),
    applicationPackages: count(false),
  };
}

/** The same CVE in the same package found at several places of an image is one finding, of the worst severity told. */
function findingsOf({ Results }: Report, platform: string): readonly Finding[] {
  const findings = new Map<string, Finding>();
  for (const result of Results ?? []) {
    const kind = result.Class === 'os-pkgs' ? 'os' : 'application';
    for (const vulnerability of result.Vulnerabilities ?? []) {
      const finding = findingOf(vulnerability, { platform, kind });
      const key = JSON.stringify([kind, finding.cve, finding.package, finding.installedVersion]);
      const known = findings.get(key);
      if (known === undefined || isWorse(finding, known)) findings.set(key, finding);
    }
  }
  return [...findings.values()];
}

function isWorse(a: Finding, b: Finding): boolean {
  return severities.indexOf(a.severity) < severities.indexOf(b.severity);
}

function findingOf(
  vulnerability: z.infer<typeof vulnerabilitySchema>,
  place: Pick<Finding, 'platform' | 'kind'>,
): Finding {
  const { FixedVersion, Layer, Title, PrimaryURL } = vulnerability;
  const layer = Layer?.Digest || Layer?.DiffID;
  return {
    ...place,
    cve: clean(vulnerability.VulnerabilityID, 100),
    severity: severityOf(vulnerability.Severity),
    package: clean(vulnerability.PkgName, 255),
    installedVersion: clean(vulnerability.InstalledVersion, 255),
    fixedVersion: FixedVersion ? clean(FixedVersion, 255) : null,
    layer: layer ? clean(layer, 100) : null,
    title: Title ? clean(Title, 500) : null,
    url: PrimaryURL && /^https?:\/\//.test(PrimaryURL) ? clean(PrimaryURL, 2_048) : null,
  };
}

function severityOf(text: string): Severity {
  return severities.find((severity) => severity === text.toLowerCase()) ?? 'unknown';
}

/** Names come from inside the image: no control character may reach the database, no length is trusted. */
function clean(text: string, maxLength: number): string {
  return text.replaceAll(/\p{Cc}/gu, ' ').slice(0, maxLength);
}
