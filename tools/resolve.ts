import { constants } from 'node:fs';
import { access, mkdir, mkdtemp, readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, isAbsolute, join } from 'node:path';
import { ProcessFailed, runProcess } from '../activities/drivers/process.ts';
import { type BinaryOf, type Tool, type ToolName, toolOf } from './catalog.ts';
import { withLock } from './lock.ts';
import {
  cacheKey,
  compilingLine,
  definedOnly,
  type FolderFile,
  goArguments,
  goEnvironment,
  namesVersion,
  ToolError,
  toolchainFor,
  variableOf,
} from './plan.ts';

const VERSION_TIMEOUT_MS = 20_000;
/** Trivy takes six minutes on two idle cores. */
const BUILD_TIMEOUT_MS = 45 * 60_000;
const UNFINISHED = '.building-';

export interface ResolveOptions {
  readonly env: NodeJS.ProcessEnv;
  /** One line per thing that takes time, to show as it is. */
  readonly onProgress: (line: string) => void;
  readonly signal: AbortSignal;
  /** False: a tool that would have to be compiled is an error. Default true. */
  readonly mayCompile?: boolean;
}

type Paths = Map<string, string>;

/**
 * The paths of the named tools' binaries, each from the first place that has it: `SLIPWAY_TOOL_<NAME>`, PATH if its version
 * is exactly the pinned one, the cache (`$XDG_CACHE_HOME/slipway/tools`), or compiled into that cache by `go build`, one at
 * a time on this machine. Throws ToolError, whose message says in one sentence what is missing and what to do.
 */
export async function resolveTools<const N extends ToolName>(
  names: readonly N[],
  options: ResolveOptions,
): Promise<Readonly<Record<BinaryOf<N>, string>>> {
  const paths: Paths = new Map();
  const missing: ToolName[] = [];
  for (const name of names) {
    for (const [binary, path] of await findTool(name, options)) paths.set(binary, path);
    if (!toolOf(name).binaries.every((binary) => paths.has(binary))) missing.push(name);
  }
  for (const [index, name] of missing.entries()) {
    const line = compilingLine(name, toolOf(name), { index: index + 1, count: missing.length });
    const compiled = await compileTool(name, line, options);
    for (const [binary, path] of compiled) if (!paths.has(binary)) paths.set(binary, path);
  }
  const record = Object.fromEntries(paths);
  if (!holdsAll(record, names)) throw new ToolError('A tool was resolved without all of its binaries.');
  return record;
}

/** `$XDG_CACHE_HOME/slipway`, or `~/.cache/slipway`: what can be made again, never data. */
export function cacheFolder(env: NodeJS.ProcessEnv): string {
  const configured = env['XDG_CACHE_HOME'];
  const base =
    configured !== undefined && isAbsolute(configured) ? configured : join(env['HOME'] ?? homedir(), '.cache');
  return join(base, 'slipway');
}

/** The binaries that need no compiling; a tool of two may be found by halves. */
async function findTool(name: ToolName, options: ResolveOptions): Promise<Paths> {
  const tool = toolOf(name);
  const paths: Paths = new Map();
  for (const binary of tool.binaries) {
    const path = (await fromVariable(binary, options.env)) ?? (await fromPath(binary, tool, options));
    if (path !== undefined) paths.set(binary, path);
  }
  if (paths.size === tool.binaries.length) return paths;
  return new Map([...((await cachedTool(name, options.env)) ?? []), ...paths]);
}

async function fromVariable(binary: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const path = env[variableOf(binary)];
  if (path === undefined || path === '') return undefined;
  if (await isProgram(path)) return path;
  throw new ToolError(
    `${variableOf(binary)} names ${path}, which is no executable file: correct it, or unset it to let Slipway find ${binary}.`,
  );
}

async function fromPath(binary: string, tool: Tool, { env, signal }: ResolveOptions): Promise<string | undefined> {
  const path = tool.versionArgs && (await lookUp(binary, env));
  if (path === undefined) return undefined;
  const said = await output(path, tool.versionArgs ?? [], { env: definedOnly(env), signal });
  return namesVersion(said, tool.version) ? path : undefined;
}

/** What a program prints about itself; one that fails says nothing. */
async function output(
  command: string,
  args: readonly string[],
  { env, signal }: { readonly env: Readonly<Record<string, string>>; readonly signal: AbortSignal },
): Promise<string> {
  try {
    const { stdout, stderrTail } = await runProcess({ command, args, env, signal, timeoutMs: VERSION_TIMEOUT_MS });
    return `${stdout}\n${stderrTail}`;
  } catch (error) {
    if (error instanceof ProcessFailed) return '';
    throw error;
  }
}

async function lookUp(program: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  for (const folder of (env['PATH'] ?? '').split(delimiter).filter(isAbsolute)) {
    if (await isProgram(join(folder, program))) return join(folder, program);
  }
  return undefined;
}

async function cachedTool(name: ToolName, env: NodeJS.ProcessEnv): Promise<Paths | undefined> {
  const folder = await toolCacheFolder(name, env);
  const paths = new Map(toolOf(name).binaries.map((binary) => [binary, join(folder, binary)]));
  const present = await Promise.all([...paths.values()].map(isProgram));
  return present.every(Boolean) ? paths : undefined;
}

async function toolCacheFolder(name: ToolName, env: NodeJS.ProcessEnv): Promise<string> {
  const key = cacheKey(toolOf(name), {
    files: await readFolder(sourceFolder(name)),
    platform: `${process.platform}/${process.arch}`,
  });
  return join(cacheFolder(env), 'tools', name, key);
}

function sourceFolder(name: ToolName): string {
  return join(import.meta.dirname, name);
}

async function readFolder(folder: string): Promise<FolderFile[]> {
  const names = await readdir(folder);
  return Promise.all(names.map(async (name) => ({ name, content: await readFile(join(folder, name)) })));
}

async function compileTool(name: ToolName, line: string, options: ResolveOptions): Promise<Paths> {
  const { env, signal, onProgress } = options;
  const tool = toolOf(name);
  if (options.mayCompile === false) {
    throw new ToolError(
      `${name} ${tool.version} is not compiled yet: run "node tools/main.ts ${name}" once, or name a ready binary in ${tool.binaries.map(variableOf).join(' and ')}.`,
    );
  }
  const toolchain = toolchainFor(await goVersion(options), { name, ...tool });
  const home = join(cacheFolder(env), 'tools');
  await mkdir(join(home, name), { recursive: true });
  const onWait = (): void => onProgress(`waiting: another process is compiling a tool into ${home}`);
  return withLock({ path: join(home, 'lock'), signal, onWait }, async () => {
    const madeMeanwhile = await cachedTool(name, env);
    if (madeMeanwhile !== undefined) return madeMeanwhile;
    onProgress(line);
    await build(name, { ...options, toolchain, beside: join(home, name) });
    const made = await cachedTool(name, env);
    if (made === undefined)
      throw new ToolError(`go build of ${name} ${tool.version} ended well but left no ${tool.binaries.join(', ')}.`);
    return made;
  });
}

async function build(
  name: ToolName,
  { env, signal, toolchain, beside }: ResolveOptions & { readonly toolchain: string; readonly beside: string },
): Promise<void> {
  const tool = toolOf(name);
  await removeLeftovers(beside);
  const out = await mkdtemp(join(beside, UNFINISHED));
  try {
    await runProcess({
      // The compiler ends with us, whatever way that is.
      command: 'setpriv',
      args: ['--pdeathsig', 'KILL', 'go', ...goArguments(tool, { folder: sourceFolder(name), out })],
      env: goEnvironment(tool, { env, toolchain }),
      signal,
      timeoutMs: BUILD_TIMEOUT_MS,
    });
    const folder = await toolCacheFolder(name, env);
    await rm(folder, { recursive: true, force: true });
    await rename(out, folder);
  } catch (error) {
    if (!(error instanceof ProcessFailed)) throw error;
    throw new ToolError(`${name} ${tool.version} could not be compiled: ${error.stderrTail.trim() || error.message}`, {
      cause: error,
    });
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}

/** What a killed process left; nobody else builds while the lock is held. */
async function removeLeftovers(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => name.startsWith(UNFINISHED));
  await Promise.all(names.map((name) => rm(join(folder, name), { recursive: true })));
}

async function goVersion({ env, signal }: ResolveOptions): Promise<string | undefined> {
  const go = await lookUp('go', env);
  if (go === undefined) return undefined;
  return output(go, ['version'], { env: { ...definedOnly(env), GOTOOLCHAIN: 'local' }, signal });
}

async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

function holdsAll<N extends ToolName>(
  paths: Readonly<Record<string, string>>,
  names: readonly N[],
): paths is Record<BinaryOf<N>, string> {
  return names.every((name) => toolOf(name).binaries.every((binary) => paths[binary] !== undefined));
}
