import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { runProcess } from '../../../activities/drivers/process.ts';
import { definedOnly } from '../../../tools/plan.ts';
import { type Advisory, advisoriesOf, parseChangelog } from './changelog.ts';

// Writes debian-12.jsonl anew: node stack/sample/advisories/read-changelogs.ts, on Debian 12 with its security suite among
// the apt sources (apt-get update first). What it reads and how it rates stands in README.md beside it.

const RELEASE = { release: 'bookworm', platform: 'debian 12' };
const OUTPUT = join(import.meta.dirname, 'debian-12.jsonl');
/** Beyond the packages of the base image: what images built on it commonly add. */
const COMMON_ADDITIONS = [
  'ca-certificates',
  'curl',
  'git',
  'libexpat1',
  'libsqlite3-0',
  'libssl3',
  'libxml2',
  'openssh-client',
];
const COMMAND_TIMEOUT_MS = 10 * 60_000;
const PACKAGE_LIST_BYTES = 512 * 1024 * 1024;

async function command(program: string, args: readonly string[], cwd?: string): Promise<string> {
  const { stdout } = await runProcess({
    command: program,
    args,
    env: { ...definedOnly(process.env), LC_ALL: 'C' },
    signal: new AbortController().signal,
    timeoutMs: COMMAND_TIMEOUT_MS,
    maxStdoutBytes: PACKAGE_LIST_BYTES,
    ...(cwd === undefined ? {} : { cwd }),
  });
  return stdout;
}

/** The binary packages of a minimal image with the additions, as apt would choose them for an empty system. */
async function packagesOfImage(): Promise<string[]> {
  const available = (await command('apt-cache', ['dumpavail'])).split('\n\n');
  const required = available
    .filter((stanza) => /^(Essential: yes|Priority: required)$/m.test(stanza))
    .map((stanza) => /^Package: (.+)$/m.exec(stanza)?.[1] ?? '');
  const options = ['-s', '-o', 'Dir::State::status=/dev/null', '-o', 'APT::Install-Recommends=false'];
  const chosen = await command('apt-get', [
    ...options,
    'install',
    ...new Set(required),
    'apt',
    'usr-is-merged',
    ...COMMON_ADDITIONS,
  ]);
  return [...chosen.matchAll(/^Inst (\S+)/gm)].map((match) => match[1] ?? '').toSorted();
}

async function changelogOf(archive: string, folder: string): Promise<string | undefined> {
  const root = join(folder, 'root');
  await command('dpkg-deb', ['--extract', archive, root]);
  const name = (await command('dpkg-deb', ['--field', archive, 'Package'])).trim();
  const documents = join(root, 'usr/share/doc', name);
  try {
    const names = await readdir(documents).catch((): string[] => []);
    // A native package has one changelog only, under the other's name.
    const file = ['changelog.Debian.gz', 'changelog.gz'].find((candidate) => names.includes(candidate));
    return file === undefined ? undefined : gunzipSync(await readFile(join(documents, file))).toString('utf8');
  } catch (error) {
    // Some packages link to the documents of a sibling, which is read in its own turn.
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

async function readAll(folder: string): Promise<Advisory[]> {
  await command('apt-get', ['download', ...(await packagesOfImage())], folder);
  const bySource = new Map<string, Advisory[]>();
  for (const name of (await readdir(folder)).filter((file) => file.endsWith('.deb')).toSorted()) {
    const entries = parseChangelog((await changelogOf(join(folder, name), folder)) ?? '');
    const source = entries[0]?.source;
    if (source !== undefined && !bySource.has(source)) bySource.set(source, advisoriesOf(entries, RELEASE));
  }
  return [...bySource.values()].flat();
}

const folder = await mkdtemp(join(tmpdir(), 'slipway-changelogs-'));
try {
  const key = (advisory: Advisory): string => `${advisory.source} ${advisory.cve}`;
  const advisories = (await readAll(folder)).toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
  await writeFile(OUTPUT, advisories.map((advisory) => `${JSON.stringify(advisory)}\n`).join(''));
  console.log(`${advisories.length} advisories written to ${OUTPUT}`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
