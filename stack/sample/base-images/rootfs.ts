import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ProcessFailed, runProcess } from '../../../activities/drivers/process.ts';
import { definedOnly } from '../../../tools/plan.ts';
import { StackError } from '../../stack-error.ts';

/** The Debian release the hosted base images are made of. */
export const RELEASE = 'bookworm';

export type Suite = typeof RELEASE | `${typeof RELEASE}-updates` | `${typeof RELEASE}-security`;
export type Architecture = 'amd64' | 'arm64';

/** The script that leaves nothing of this machine in the tree; part of what an image is made from. */
export const CUSTOMIZE_SCRIPT = join(import.meta.dirname, 'customize.sh');

/** No manuals, no translations, of the documents only the licences. */
const LEFT_OUT = [
  'path-exclude=/usr/share/man/*',
  'path-exclude=/usr/share/locale/*',
  'path-exclude=/usr/share/doc/*',
  'path-include=/usr/share/doc/*/copyright',
];

/** Emulated on two busy cores it takes four minutes. */
const MAKE_TIMEOUT_MS = 30 * 60_000;
const QUERY_TIMEOUT_MS = 60_000;
/** Where Debian keeps apt-helper, which fetches with apt's own proxies and credentials. */
const APT_HELPERS = '/usr/lib/apt';

/** How this machine reaches Debian: a mirror per suite, and apt's proxy settings. */
export interface AptAccess {
  readonly mirrors: Readonly<Record<Suite, string>>;
  readonly proxyOptions: readonly string[];
}

export interface RunContext {
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}

/** Lines of `apt-get indextargets` in this format are what `mirrorsFrom` reads. */
const TARGET_FORMAT = '$(CREATED_BY) $(ORIGIN) $(CODENAME) $(COMPONENT) $(REPO_URI)';

/** The machine's own mirror of each suite; for one it does not use, its mirror of another Debian release holds that too. */
export function mirrorsFrom(indexTargets: string): Record<Suite, string> {
  const targets = indexTargets
    .split('\n')
    .map((line) => line.split(' '))
    .filter(
      ([createdBy, origin, , component]) => createdBy === 'Packages' && origin === 'Debian' && component === 'main',
    )
    .map(([, , codename = '', , uri = '']) => ({ codename, uri }));
  const mirrorOf = (suite: Suite): string => {
    const isSecurity = suite.endsWith('-security');
    const target =
      targets.find(({ codename }) => codename === suite) ??
      targets.find(({ codename }) => codename.endsWith('-security') === isSecurity);
    if (target !== undefined) return target.uri;
    throw new StackError(
      `The base images are made from Debian's packages, and apt on this machine names no mirror for ${suite}: add one to /etc/apt/sources.list.d and run apt-get update.`,
    );
  };
  return {
    bookworm: mirrorOf('bookworm'),
    'bookworm-updates': mirrorOf('bookworm-updates'),
    'bookworm-security': mirrorOf('bookworm-security'),
  };
}

/** `Acquire::http::Proxy "…"` lines of `apt-config dump`, per host ones too. */
export function proxyOptionsFrom(aptConfig: string): string[] {
  return aptConfig.split('\n').filter((line) => /^Acquire::https?::Proxy(::\S+)? "[^"]+";$/.test(line));
}

/** The moment a suite was published, in seconds since 1970: the same for everyone who makes an image of it. */
export function publishedAt(inRelease: string): number {
  const date = /^Date: (.+)$/m.exec(inRelease)?.[1];
  const milliseconds = date === undefined ? Number.NaN : Date.parse(date);
  if (Number.isNaN(milliseconds))
    throw new StackError('The mirror answered without a release date: it is no Debian mirror.');
  return milliseconds / 1000;
}

export interface RootfsOrder {
  readonly suites: readonly Suite[];
  readonly architecture: Architecture;
}

/** The arguments that write the tree as a tar file to `out`. */
export function mmdebstrapArguments(
  { suites, architecture }: RootfsOrder,
  { access, out }: { readonly access: AptAccess; readonly out: string },
): string[] {
  return [
    ...[
      '--quiet',
      '--variant=minbase',
      `--architectures=${architecture}`,
      '--format=tar',
      '--skip=output/dev,cleanup/apt',
    ],
    // Without it Debian 12 pulls in all of perl to merge /usr itself.
    ...['--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr', '--include=usr-is-merged'],
    ...LEFT_OUT.map((option) => `--dpkgopt=${option}`),
    ...access.proxyOptions.map((option) => `--aptopt=${option}`),
    `--customize-hook=${CUSTOMIZE_SCRIPT}`,
    ...[RELEASE, out],
    ...suites.map((suite) => `deb ${access.mirrors[suite]} ${suite} main`),
  ];
}

export async function findAptAccess(context: RunContext): Promise<AptAccess> {
  const targets = await command('apt-get', ['indextargets', '--format', TARGET_FORMAT], {
    ...context,
    timeoutMs: QUERY_TIMEOUT_MS,
  });
  const config = await command('apt-config', ['dump'], { ...context, timeoutMs: QUERY_TIMEOUT_MS });
  return { mirrors: mirrorsFrom(targets), proxyOptions: proxyOptionsFrom(config) };
}

/** When the newest of the suites was published; `scratch` is a folder to download into. */
export async function newestPublication(
  suites: readonly Suite[],
  { access, scratch, ...context }: RunContext & { readonly access: AptAccess; readonly scratch: string },
): Promise<number> {
  const times = suites.map(async (suite) => {
    const file = join(scratch, `${suite}.InRelease`);
    const url = `${access.mirrors[suite]}dists/${suite}/InRelease`;
    await command('apt-helper', ['download-file', url, file], { ...context, timeoutMs: QUERY_TIMEOUT_MS });
    return publishedAt(await readFile(file, 'utf8'));
  });
  return Math.max(...(await Promise.all(times)));
}

/** Makes the tree with mmdebstrap; every time in it is at most `publishedAt`, so the same packages give the same bytes. */
export async function makeRootfs(
  order: RootfsOrder,
  {
    access,
    out,
    publishedAtSeconds,
    env,
    signal,
  }: RunContext & { readonly access: AptAccess; readonly out: string; readonly publishedAtSeconds: number },
): Promise<void> {
  const program = ['mmdebstrap', ...mmdebstrapArguments(order, { access, out })];
  // As root it mounts /proc and /sys inside the tree. In namespaces of its own nobody else sees that, and all of it is gone
  // with the process, whatever way that ends; the tree itself stands beside the tar, where the caller tidies up.
  const isRoot = process.getuid?.() === 0;
  const apart = isRoot ? ['unshare', '--mount-proc', '--pid', '--fork', '--kill-child'] : [];
  const temporary = isRoot ? { TMPDIR: dirname(out) } : {};
  try {
    await command('setpriv', ['--pdeathsig', 'KILL', ...apart, ...program], {
      env: { ...env, ...temporary, SOURCE_DATE_EPOCH: String(publishedAtSeconds) },
      signal,
      timeoutMs: MAKE_TIMEOUT_MS,
    });
  } catch (error) {
    if (!(error instanceof ProcessFailed)) throw error;
    throw new StackError(
      `mmdebstrap could not make the base image for linux/${order.architecture}: ${error.stderrTail.trim() || error.message}`,
      { cause: error },
    );
  }
}

async function command(
  program: string,
  args: readonly string[],
  { env, ...limits }: RunContext & { readonly timeoutMs: number },
): Promise<string> {
  const { stdout } = await runProcess({
    command: program,
    args,
    env: { ...definedOnly(env), PATH: `${env['PATH'] ?? ''}:${APT_HELPERS}`, LC_ALL: 'C.UTF-8' },
    ...limits,
  });
  return stdout;
}
