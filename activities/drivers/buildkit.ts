import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { architectures, type Architecture } from '../../domain/build.ts';
import { BuildFailed, type BuildProblem } from '../../domain/build-error.ts';
import { digestSchema } from '../../domain/digest.ts';
import { classifyBuildError } from './buildkit-errors.ts';
import { createProgress, type BaseImageDigest, type ProgressLine } from './buildkit-progress.ts';
import { writeDockerConfig } from './docker-config.ts';
import { ProcessFailed, ProcessTimedOut, runProcess } from './process.ts';

export interface BuildkitOptions {
  /** Path of the program. */
  readonly buildctl: string;
  /** The daemon, as `unix:///run/buildkit/bk.sock`. */
  readonly address: string;
  /** Further options of the Dockerfile frontend, for every build, such as `ulimit=nofile=1024:1024`. */
  readonly frontendOptions?: readonly string[];
}

export interface ImageBuildInput {
  /** The build context, a tar file. */
  readonly contextArchive: string;
  /** Path inside the context. */
  readonly dockerfile: string;
  readonly platform: Architecture;
  readonly args: readonly { readonly key: string; readonly value: string }[];
  /** False: nothing is taken from a cache, and base images are asked for anew. */
  readonly isCached: boolean;
  /** The stage to build; null: the last one. */
  readonly targetStage: string | null;
  /** Files for `RUN --mount=type=secret,id=…`; they reach no layer, history or log. */
  readonly secretFiles: readonly { readonly id: string; readonly file: string }[];
  /** Remote caches as `host/repository:tag` at the target's registry; null: none, as without `isCached`. */
  readonly cache: { readonly imports: readonly string[]; readonly export: string | null } | null;
  /** Where the image goes, by digest; no tag is written. An empty user name means no login. */
  readonly target: {
    /** `host[:port]`. */
    readonly host: string;
    readonly repository: string;
    readonly isInsecure: boolean;
    readonly username: string;
    readonly password: string;
  };
  /** The commit: its id becomes a label, its time (RFC 3339) the time of every file. */
  readonly revision: string;
  readonly commitTime: string;
  /** Cache mounts are shared by builds of equal name only. */
  readonly cacheNamespace: string;
  /** Folder for files of this build, removed by the caller. */
  readonly workDirectory: string;
  /** Never shown in a line or an error. */
  readonly secrets: readonly string[];
  readonly onLines: (lines: readonly ProgressLine[]) => void;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

export interface BuiltImage {
  readonly digest: string;
  readonly mediaType: string;
  /** Of the manifest. */
  readonly sizeBytes: number;
  /** Steps of the Dockerfile, and how many of them were taken from a cache. */
  readonly steps: number;
  readonly cachedSteps: number;
  readonly baseImages: readonly BaseImageDigest[];
}

/** BuildKit through buildctl (docs/product.md, section 7). */
export interface Buildkit {
  /** What the daemon can build for. */
  platforms(options: { readonly signal: AbortSignal }): Promise<readonly Architecture[]>;
  /** Builds one architecture and pushes it by digest. @throws BuildFailed */
  imageBuild(input: ImageBuildInput): Promise<BuiltImage>;
}

const metadataSchema = z.looseObject({
  'containerimage.descriptor': z.looseObject({ mediaType: z.string(), digest: digestSchema, size: z.int().min(1) }),
});
const workersSchema = z.array(
  z.looseObject({
    platforms: z.array(z.looseObject({ os: z.string(), architecture: z.string(), variant: z.string().optional() })),
  }),
);

/** BuildKit sends whole files of progress as one line. */
const longestProgressLine = 8 * 1024 * 1024;
const unpackTimeoutMs = 5 * 60_000;

export function createBuildkit(options: BuildkitOptions): Buildkit {
  return {
    platforms: ({ signal }) => readPlatforms(options, signal),
    imageBuild: (input) => buildImage(options, input),
  };
}

async function readPlatforms({ buildctl, address }: BuildkitOptions, signal: AbortSignal): Promise<Architecture[]> {
  const { stdout } = await runProcess({
    command: buildctl,
    args: ['--addr', address, 'debug', 'workers', '--format', '{{json .}}'],
    env: {},
    signal,
    timeoutMs: 10_000,
  });
  const workers = workersSchema.parse(JSON.parse(stdout));
  const offered = workers.flatMap((worker) =>
    worker.platforms.map(({ os, architecture, variant }) => [os, architecture, variant].filter(Boolean).join('/')),
  );
  return architectures.filter((architecture) => offered.includes(architecture));
}

async function buildImage(options: BuildkitOptions, input: ImageBuildInput): Promise<BuiltImage> {
  const { target, workDirectory, secrets, signal, timeoutMs } = input;
  const configFolder = join(workDirectory, 'docker-config');
  const metadataFile = join(workDirectory, `metadata-${input.platform.replaceAll('/', '-')}.json`);
  const contextFolder = await unpackContext(input);
  await writeDockerConfig(configFolder, [target]);
  const progress = createProgress({ secrets });
  try {
    await runProcess({
      command: options.buildctl,
      args: buildArguments(options, input, {
        contextFolder,
        metadataFile,
        isEpochAsked: await asksForEpoch(input, contextFolder),
      }),
      env: { DOCKER_CONFIG: configFolder },
      signal,
      timeoutMs,
      secrets,
      maxLineLength: longestProgressLine,
      onStderrLine: (line) => show(input, progress.read(line)),
    });
  } catch (error) {
    throw buildError(error, { problem: progress.problem, timeoutMs });
  } finally {
    show(input, progress.end());
  }
  const metadata = metadataSchema.parse(JSON.parse(await readFile(metadataFile, 'utf8')));
  const { digest, mediaType, size } = metadata['containerimage.descriptor'];
  const { steps, cachedSteps, baseImages } = progress;
  return { digest, mediaType, sizeBytes: size, steps, cachedSteps, baseImages };
}

/** Files belong to us, whoever they belonged to; links are kept as they are and followed by nobody. */
async function unpackContext({ contextArchive, workDirectory, signal }: ImageBuildInput): Promise<string> {
  const folder = join(workDirectory, 'context');
  await mkdir(folder, { mode: 0o700 });
  await runProcess({
    command: 'tar',
    args: ['--extract', '--file', contextArchive, '--directory', folder, '--no-same-owner', '--same-permissions'],
    env: { PATH: '/usr/local/bin:/usr/bin:/bin', LANG: 'C' },
    signal,
    timeoutMs: unpackTimeoutMs,
  });
  return folder;
}

/** Whether a step wants to know the commit's time. */
async function asksForEpoch({ dockerfile }: ImageBuildInput, contextFolder: string): Promise<boolean> {
  const text = await readFile(join(contextFolder, dockerfile), 'utf8').catch(() => '');
  return /^\s*ARG\s.*\bSOURCE_DATE_EPOCH\b/im.test(text);
}

function show({ onLines }: ImageBuildInput, lines: readonly ProgressLine[]): void {
  if (lines.length > 0) onLines(lines);
}

function buildArguments(
  options: BuildkitOptions,
  input: ImageBuildInput,
  { contextFolder, metadataFile, isEpochAsked }: { contextFolder: string; metadataFile: string; isEpochAsked: boolean },
): string[] {
  const { target } = input;
  const seconds = Math.floor(Date.parse(input.commitTime) / 1000);
  const output = [
    'type=image',
    `name=${target.host}/${target.repository}`,
    'push=true',
    'push-by-digest=true',
    'oci-mediatypes=true',
    // As the build argument it would be part of every WORKDIR, and nothing after one be cached for the next commit.
    `source-date-epoch=${seconds}`,
    'rewrite-timestamp=true',
    ...(target.isInsecure ? ['registry.insecure=true'] : []),
  ];
  const opts = [
    // The built-in frontend, whatever a `# syntax=` line asks for: no foreign code decides what is run.
    'cmdline=dockerfile.v0',
    ...(options.frontendOptions ?? []),
    `filename=${input.dockerfile}`,
    `platform=${input.platform}`,
    `build-arg:BUILDKIT_CACHE_MOUNT_NS=${input.cacheNamespace}`,
    ...(isEpochAsked ? [`build-arg:SOURCE_DATE_EPOCH=${seconds}`] : []),
    `label:org.opencontainers.image.revision=${input.revision}`,
    ...input.args.map(({ key, value }) => `build-arg:${key}=${value}`),
    ...(input.targetStage === null ? [] : [`target=${input.targetStage}`]),
    ...(input.isCached ? [] : ['image-resolve-mode=pull']),
  ];
  return [
    ...['--addr', options.address, 'build', '--frontend', 'dockerfile.v0', '--progress', 'rawjson'],
    ...['--local', `context=${contextFolder}`, '--local', `dockerfile=${contextFolder}`],
    ...opts.flatMap((opt) => ['--opt', opt]),
    ...input.secretFiles.flatMap(({ id, file }) => ['--secret', `id=${id},src=${file}`]),
    ...(input.isCached ? cacheArguments(input) : ['--no-cache']),
    ...['--output', output.join(','), '--metadata-file', metadataFile],
  ];
}

/** An export that fails costs the next build time, not this one its image. */
function cacheArguments({ cache, target }: ImageBuildInput): string[] {
  if (cache === null) return [];
  const place = (ref: string) => `type=registry,ref=${ref}${target.isInsecure ? ',registry.insecure=true' : ''}`;
  return [
    ...cache.imports.flatMap((ref) => ['--import-cache', place(ref)]),
    ...(cache.export === null
      ? []
      : [
          '--export-cache',
          `${place(cache.export)},mode=max,image-manifest=true,oci-mediatypes=true,ignore-error=true`,
        ]),
  ];
}

function buildError(error: unknown, { problem, timeoutMs }: { problem: string; timeoutMs: number }): unknown {
  if (error instanceof ProcessTimedOut) return new BuildFailed(timeoutProblem(timeoutMs), { cause: error });
  if (error instanceof ProcessFailed) return new BuildFailed(classifyBuildError(problem), { cause: error });
  return error;
}

function timeoutProblem(timeoutMs: number): BuildProblem {
  const minutes = Math.round(timeoutMs / 60_000);
  return {
    code: 'build.timeout',
    fault: 'user',
    isPermanent: true,
    params: { minutes },
    text: `The build did not end within the ${minutes} minutes its build rule allows. Make it faster, or raise the limit of the rule.`,
  };
}
