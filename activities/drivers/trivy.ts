import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Finding, Unscannable } from '../../domain/scan.ts';
import { limits } from '../../domain/limits.ts';
import { writeDockerConfig } from './docker-config.ts';
import { ProcessFailed, type ProcessInput, type ProcessOutput } from './process.ts';
import { createTrivyDatabases, type TrivyDatabase } from './trivy-database.ts';
import { parseTrivyReport, TrivyReportInvalid, unscannableOf, type ReportFacts } from './trivy-report.ts';

/** The login of one registry, pull only. Without a user name the image is public. */
export interface TrivyLogin {
  /** `host[:port]`. */
  readonly host: string;
  readonly username: string;
  readonly password: string;
  /** Plain HTTP, or a certificate nobody vouches for. */
  readonly isInsecure: boolean;
}

export interface ImageScanInput {
  /** `namespace/repository` at `login.host`. */
  readonly repository: string;
  /** Of one platform's manifest. */
  readonly digest: string;
  readonly platform: string;
  readonly login: TrivyLogin;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** One image's examination. `unscannable` says why the findings may not be all there is. */
export type ImageScan =
  | { readonly kind: 'data_missing'; readonly engineVersion: string }
  | {
      readonly kind: 'scanned';
      readonly engineVersion: string;
      readonly database: TrivyDatabase;
      readonly facts: ReportFacts;
      readonly findings: readonly Finding[];
      readonly unscannable: Unscannable | null;
      /** Trivy's own JSON, byte for byte. */
      readonly report: Uint8Array;
      /** CycloneDX JSON, of the same pass. */
      readonly sbom: Uint8Array;
    };

/** Trivy ended badly or not at all. The message is one line, without secrets. */
export class TrivyFailed extends Error {
  override readonly name = 'TrivyFailed';
}

/**
 * Trivy (docs/product.md, section 9). Every failure throws: `TrivyFailed`, `TrivyReportInvalid`, `TrivyDatabaseInvalid`, or the
 * reason of `signal`. An empty result is never made out of a failure.
 */
export interface Trivy {
  imageScan(input: ImageScanInput): Promise<ImageScan>;
  /** The data a scan would use now, downloaded first if that is due; undefined when there is none. */
  databaseStatus(options: { readonly signal: AbortSignal }): Promise<TrivyDatabase | undefined>;
  engineVersion(options: { readonly signal: AbortSignal }): Promise<string>;
}

export interface TrivyOptions {
  /** Path of the program. */
  readonly trivy: string;
  /** Holds `db/` (used as it is), or the downloads from `databaseRepository`. */
  readonly cacheDir: string;
  /** For short-lived folders: login, layers, report. */
  readonly workDir: string;
  readonly databaseRepository?: string | undefined;
  readonly runProcess: (input: ProcessInput) => Promise<ProcessOutput>;
  readonly clock: () => Date;
  readonly onDownloadFailed?: (error: unknown) => void;
  /** Smaller in tests only. */
  readonly maxReportBytes?: number;
  readonly killAfterMs?: number;
}

/** Trivy's own limit comes first and says more; this one is for a Trivy that no longer listens. */
const defaultKillAfterMs = 10_000;
const shortTimeoutMs = 60_000;
/** Where a `trivy` without a folder is looked for. */
const programPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const sizeCheckMs = 1_000;

export function createTrivy(options: TrivyOptions): Trivy {
  const { trivy, workDir, runProcess, maxReportBytes = limits.scanReportBytes } = options;
  const { killAfterMs = defaultKillAfterMs } = options;
  let version: string | undefined;

  async function run(args: readonly string[], { cwd, ...rest }: RunOptions): Promise<ProcessOutput> {
    // A soft bound below the scanner's 2 GB: the collector works harder before the kernel steps in, and seldom until then.
    const memory = { GOMEMLIMIT: '1750MiB', GOGC: '400' };
    const env = { PATH: programPath, HOME: cwd, TMPDIR: cwd, DOCKER_CONFIG: cwd, ...memory };
    try {
      return await runProcess({ command: trivy, args, env, cwd, ...rest });
    } catch (error) {
      throw error instanceof ProcessFailed ? trivyFailed(error) : error;
    }
  }
  const databases = createTrivyDatabases({
    cacheDir: options.cacheDir,
    databaseRepository: options.databaseRepository,
    clock: options.clock,
    run,
    onDownloadFailed: options.onDownloadFailed ?? (() => undefined),
  });

  async function engineVersion({ signal }: { readonly signal: AbortSignal }): Promise<string> {
    if (version !== undefined) return version;
    const { stdout } = await inFolder(workDir, (cwd) =>
      run(['version', '--format', 'json'], { cwd, signal, timeoutMs: shortTimeoutMs }),
    );
    version = versionSchema.parse(JSON.parse(stdout)).Version;
    return version;
  }

  return {
    engineVersion,
    databaseStatus: (call) => databases.current(call),
    async imageScan(input) {
      const { platform, digest, signal } = input;
      const database = await databases.current({ signal });
      if (database === undefined) return { kind: 'data_missing', engineVersion: await engineVersion({ signal }) };
      return inFolder(workDir, async (cwd) => {
        // `TRIVY_USERNAME` would go to every registry an image names; this goes to one.
        await writeDockerConfig(cwd, [input.login]);
        const reportFile = join(cwd, 'report.json');
        await guardSize({ file: reportFile, maxBytes: maxReportBytes, signal }, (guarded) =>
          run(scanArguments(input, { cacheDir: database.folder, output: reportFile }), {
            cwd,
            signal: guarded,
            timeoutMs: input.timeoutMs + killAfterMs,
            secrets: [input.login.password],
          }),
        );
        const report = await readReport(reportFile, maxReportBytes);
        const { facts, findings } = parseTrivyReport(report.toString('utf8'), { platform, digest });
        const sbomFile = join(cwd, 'sbom.json');
        await run(['convert', '--format', 'cyclonedx', '--output', sbomFile, '--quiet', reportFile], {
          cwd,
          signal,
          timeoutMs: shortTimeoutMs,
        });
        return {
          kind: 'scanned',
          engineVersion: facts.engineVersion,
          database,
          facts,
          findings,
          unscannable: unscannableOf(facts, database.covers),
          report,
          sbom: await readReport(sbomFile, maxReportBytes),
        };
      });
    },
  };
}

type RunOptions = Pick<ProcessInput, 'signal' | 'timeoutMs' | 'secrets'> & { readonly cwd: string };

const versionSchema = z.looseObject({ Version: z.string().min(1) });

const shownWhyLength = 500;

/** Trivy says why from its line with FATAL on, the cause last; a panic says it on its first line. */
function trivyFailed(error: ProcessFailed): TrivyFailed {
  const said = error.stderrTail.trim();
  const fatal = /\sFATAL\s+(?:Fatal error\s+)?(.*)$/s.exec(said)?.[1];
  const why = (fatal ?? said.split('\n')[0] ?? '').replaceAll(/[\p{Cc}\s]+/gu, ' ').trim();
  const shown = why.length > shownWhyLength ? `…${why.slice(-shownWhyLength)}` : why;
  return new TrivyFailed(`Trivy ended with ${error.exit}${shown === '' ? '' : `: ${shown}`}`, { cause: error });
}

/** A digest, the given database and nothing else: no update, no call home, no shared cache (its lock fails parallel scans). */
function scanArguments(
  { repository, digest, platform, login, timeoutMs }: ImageScanInput,
  { cacheDir, output }: { readonly cacheDir: string; readonly output: string },
): readonly string[] {
  return [
    'image',
    ...['--image-src', 'remote', '--platform', platform, '--scanners', 'vuln'],
    ...['--format', 'json', '--list-all-pkgs', '--output', output, '--exit-code', '0', '--quiet'],
    ...['--skip-db-update', '--skip-java-db-update', '--skip-check-update', '--offline-scan'],
    ...['--skip-version-check', '--disable-telemetry'],
    ...['--cache-dir', cacheDir, '--cache-backend', 'memory'],
    ...['--timeout', `${Math.ceil(timeoutMs / 1000)}s`],
    ...(login.isInsecure ? ['--insecure'] : []),
    `${login.host}/${repository}@${digest}`,
  ];
}

/** A folder of its own, also as the working directory: Trivy reads `trivy.yaml` and `.trivyignore` from wherever it starts. */
async function inFolder<Result>(workDir: string, work: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = await mkdtemp(join(workDir, 'scan-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Ends the work when the file it writes grows past the limit, before the disk is full. */
async function guardSize(
  { file, maxBytes, signal }: { readonly file: string; readonly maxBytes: number; readonly signal: AbortSignal },
  work: (signal: AbortSignal) => Promise<unknown>,
): Promise<void> {
  const tooLarge = new AbortController();
  const check = async () => {
    const size = await stat(file).then(
      (info) => info.size,
      () => 0,
    );
    if (size > maxBytes) tooLarge.abort(oversized(maxBytes));
  };
  const timer = setInterval(() => void check(), sizeCheckMs);
  try {
    await work(AbortSignal.any([signal, tooLarge.signal]));
  } finally {
    clearInterval(timer);
  }
}

async function readReport(file: string, maxBytes: number): Promise<Buffer> {
  const info = await stat(file).catch((error: unknown) => {
    throw new TrivyReportInvalid('the scanner ended well and wrote none.', { cause: error });
  });
  if (info.size > maxBytes) throw oversized(maxBytes);
  return readFile(file);
}

function oversized(maxBytes: number): TrivyReportInvalid {
  return new TrivyReportInvalid(`it is larger than ${Math.floor(maxBytes / 1024 / 1024)} MiB.`);
}
