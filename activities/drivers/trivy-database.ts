import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, readlink, rename, rm, stat, symlink, utimes } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';

/** The vulnerability data a scan is made with. */
export interface TrivyDatabase {
  /** Cache folder to scan with; holds `db/`. */
  readonly folder: string;
  readonly version: number;
  readonly updatedAt: Date;
  /** When its maker promised a newer one. */
  readonly nextUpdateAt: Date;
  readonly sha256: string;
  /** Made for the sample, not a vendor's data: a file `sample` lies beside metadata.json. */
  readonly isSampleData: boolean;
  /** Releases that sample data knows, `debian 12`, one a line of that file; null: whatever the engine supports. */
  readonly covers: readonly string[] | null;
}

/** The database is there and cannot be used. */
export class TrivyDatabaseInvalid extends Error {
  override readonly name = 'TrivyDatabaseInvalid';

  constructor(folder: string, problem: string, options?: ErrorOptions) {
    super(`The vulnerability database in ${folder} cannot be used: ${problem}. Replace it.`, options);
  }
}

/** Runs `trivy` with these arguments to its end. */
export type RunTrivy = (
  args: readonly string[],
  options: { readonly cwd: string; readonly signal: AbortSignal; readonly timeoutMs: number },
) => Promise<unknown>;

export interface TrivyDatabasesOptions {
  readonly cacheDir: string;
  /** OCI repository, `ghcr.io/aquasecurity/trivy-db:2` or a mirror of it; without it the folder's own database is used as it is. */
  readonly databaseRepository: string | undefined;
  readonly run: RunTrivy;
  readonly clock: () => Date;
  /** A download failed while older data is there: scans go on with that, and the policy's `maxDataAgeHours` bounds it. */
  readonly onDownloadFailed: (error: unknown) => void;
}

export interface TrivyDatabases {
  /** The newest data, downloaded first if that is due; undefined when there is none. */
  current(options: { readonly signal: AbortSignal }): Promise<TrivyDatabase | undefined>;
}

const supportedVersion = 2;
const downloadTimeoutMs = 10 * 60_000;
const retryDownloadAfterMs = 10 * 60_000;
/** Longer than the longest scan. */
const replacedFolderKeptMs = 60 * 60_000;

const metadataSchema = z.looseObject({
  Version: z.int(),
  UpdatedAt: z.iso.datetime({ offset: true }),
  NextUpdate: z.iso.datetime({ offset: true }),
});

export function createTrivyDatabases(options: TrivyDatabasesOptions): TrivyDatabases {
  const readDatabase = createDatabaseReader();
  const { databaseRepository, cacheDir } = options;
  if (databaseRepository === undefined) return { current: () => readDatabase(cacheDir) };

  const home = join(cacheDir, 'official');
  let download: Promise<void> | undefined;
  let triedAt = Number.NEGATIVE_INFINITY;

  async function newest(): Promise<TrivyDatabase | undefined> {
    const name = await readLinkIfAny(join(home, 'current'));
    return name === undefined ? undefined : readDatabase(join(home, name));
  }
  function isDue(database: TrivyDatabase | undefined): boolean {
    const now = options.clock().getTime();
    if (database === undefined) return true;
    return database.nextUpdateAt.getTime() <= now && now - triedAt >= retryDownloadAfterMs;
  }
  async function refresh(signal: AbortSignal, repository: string): Promise<void> {
    triedAt = options.clock().getTime();
    await mkdir(home, { recursive: true });
    const folder = await mkdtemp(join(home, 'db-'));
    try {
      await downloadDatabase({ run: options.run, repository, folder, signal });
      const database = await readDatabase(folder);
      if (database === undefined) throw new TrivyDatabaseInvalid(folder, 'the download left no database');
      await makeCurrent(home, { folder, now: options.clock() });
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
    await removeReplaced(home, options.clock());
  }

  return {
    async current({ signal }) {
      const known = await newest();
      if (!isDue(known)) return known;
      // Scans that start together wait for one download; the first one's end of life ends it for all, who then try themselves.
      download ??= refresh(signal, databaseRepository).finally(() => (download = undefined));
      try {
        await download;
      } catch (error) {
        signal.throwIfAborted();
        if (known === undefined) throw error;
        options.onDownloadFailed(error);
      }
      return newest();
    },
  };
}

/** Reads metadata and the hash of the database; the hash of an unchanged file is remembered, it may be a gigabyte. */
function createDatabaseReader(): (folder: string) => Promise<TrivyDatabase | undefined> {
  const hashes = new Map<string, string>();
  return async (folder) => {
    const file = join(folder, 'db', 'trivy.db');
    const [metadata, info, sample] = await Promise.all([
      readIfAny(join(folder, 'db', 'metadata.json')),
      stat(file).catch(undefinedIfMissing),
      readIfAny(join(folder, 'db', 'sample')),
    ]);
    if (metadata === undefined || info === undefined) return undefined;
    const { Version, UpdatedAt, NextUpdate } = parseMetadata(folder, metadata);
    const key = [file, info.ino, info.size, info.mtimeMs].join(' ');
    const sha256 = hashes.get(key) ?? (await hashOf(file));
    hashes.clear();
    hashes.set(key, sha256);
    const covers = (sample ?? '').split('\n').filter((line) => line.trim() !== '');
    return {
      folder,
      version: Version,
      updatedAt: new Date(UpdatedAt),
      nextUpdateAt: new Date(NextUpdate),
      sha256,
      isSampleData: sample !== undefined,
      covers: covers.length === 0 ? null : covers.map((line) => line.trim()),
    };
  };
}

function parseMetadata(folder: string, text: string): z.infer<typeof metadataSchema> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new TrivyDatabaseInvalid(folder, 'its metadata.json is not JSON', { cause: error });
  }
  const parsed = metadataSchema.safeParse(json);
  if (!parsed.success) throw new TrivyDatabaseInvalid(folder, 'its metadata.json has another form');
  if (parsed.data.Version === supportedVersion) return parsed.data;
  throw new TrivyDatabaseInvalid(folder, `it has version ${parsed.data.Version}, Trivy reads ${supportedVersion}`);
}

async function hashOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

interface Download extends Pick<TrivyDatabasesOptions, 'run'> {
  readonly repository: string;
  readonly folder: string;
  readonly signal: AbortSignal;
}

/** New data always comes into a new folder: a scan never reads a database that is being replaced. */
async function downloadDatabase({ run, repository, folder, signal }: Download): Promise<void> {
  const args = ['image', '--download-db-only', '--db-repository', repository, '--cache-dir', folder];
  await run([...args, '--quiet', '--skip-version-check', '--disable-telemetry'], {
    cwd: folder,
    signal,
    timeoutMs: downloadTimeoutMs,
  });
}

/** The one replaced gets the time of its replacement: a scan that has just begun may still read it. */
async function makeCurrent(home: string, { folder, now }: { folder: string; now: Date }): Promise<void> {
  const replaced = await readLinkIfAny(join(home, 'current'));
  const link = join(home, `link-${basename(folder)}`);
  await symlink(basename(folder), link);
  await rename(link, join(home, 'current'));
  if (replaced !== undefined) await utimes(join(home, replaced), now, now).catch(undefinedIfMissing);
}

async function removeReplaced(home: string, now: Date): Promise<void> {
  const current = await readLinkIfAny(join(home, 'current'));
  for (const name of await readdir(home)) {
    if (name === current || name === 'current') continue;
    const info = await stat(join(home, name)).catch(undefinedIfMissing);
    if (info === undefined || now.getTime() - info.mtimeMs < replacedFolderKeptMs) continue;
    await rm(join(home, name), { recursive: true, force: true });
  }
}

async function readIfAny(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch(undefinedIfMissing);
}

async function readLinkIfAny(file: string): Promise<string | undefined> {
  return readlink(file).catch(undefinedIfMissing);
}

function undefinedIfMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
  throw error;
}
