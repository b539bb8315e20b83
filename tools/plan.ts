import { createHash } from 'node:crypto';
import type { Tool, ToolName } from './catalog.ts';

/** The oldest Go that compiles every tool, and the newest kind they compile with: Trivy's jsonv2 code breaks on 1.27. */
const OLDEST_GO = [1, 26, 5] as const;
const TOO_NEW_GO = [1, 27, 0] as const;
const FALLBACK_TOOLCHAIN = 'go1.26.8';

/** A tool Slipway cannot get; the message is the one sentence to show. */
export class ToolError extends Error {
  override readonly name = 'ToolError';
}

/** `buildkitd` → `SLIPWAY_TOOL_BUILDKITD`. */
export function variableOf(binary: string): string {
  return `SLIPWAY_TOOL_${binary.toUpperCase().replaceAll('-', '_')}`;
}

/** One file of a tool's folder. */
export interface FolderFile {
  readonly name: string;
  readonly content: Uint8Array;
}

/** `<version>-<12 hex>`: another name as soon as anything that could change the binary changes. */
export function cacheKey(
  tool: Tool,
  { files, platform }: { readonly files: readonly FolderFile[]; readonly platform: string },
): string {
  const hash = createHash('sha256');
  for (const file of files.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    hash.update(`${file.name}\0${file.content.length}\0`).update(file.content);
  }
  const { packages, tags, env, linked } = tool;
  hash.update(JSON.stringify({ packages, tags, env, linked, platform }));
  return `${tool.version}-${hash.digest('hex').slice(0, 12)}`;
}

/** Whether a program's version text names exactly this release: its first `x.y.z`, a leading `v` or a trailing `+unknown` aside. */
export function namesVersion(output: string, version: string): boolean {
  const found = /(?<![\w.-])v?(\d+\.\d+\.\d+[\w.+-]*)/.exec(output)?.[1];
  return found?.replace(/\+unknown$/, '') === version;
}

/** The arguments of `go` that put a tool's binaries into `out`. */
export function goArguments(tool: Tool, { folder, out }: { readonly folder: string; readonly out: string }): string[] {
  const linked = Object.entries(tool.linked ?? {}).map(([variable, value]) => ` -X ${variable}=${value}`);
  return [
    'build',
    ...['-C', folder, '-trimpath', '-buildvcs=false'],
    ...(tool.tags === undefined ? [] : ['-tags', tool.tags]),
    ...['-ldflags', `-s -w${linked.join('')}`],
    ...['-o', `${out}/`],
    ...tool.packages,
  ];
}

/** The environment of that `go`: the machine's own (proxy, flags, caches) with what the build demands on top. */
export function goEnvironment(
  tool: Tool,
  { env, toolchain }: { readonly env: NodeJS.ProcessEnv; readonly toolchain: string },
): Record<string, string> {
  return { ...definedOnly(env), CGO_ENABLED: '0', GOWORK: 'off', GOTOOLCHAIN: toolchain, ...tool.env };
}

/** An environment as programs are given it. */
export function definedOnly(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

/**
 * `GOTOOLCHAIN` for the Go that prints this `go version` (undefined: there is none). A Go that is too new fetches the right
 * one as a module.
 */
export function toolchainFor(goVersion: string | undefined, tool: { readonly name: ToolName } & Tool): string {
  if (goVersion === undefined) throw new ToolError(cannotCompile(tool, 'there is no go on PATH'));
  const found = /go(\d+)\.(\d+)(?:\.(\d+))?/.exec(goVersion);
  const version = [Number(found?.[1] ?? 0), Number(found?.[2] ?? 0), Number(found?.[3] ?? 0)];
  if (isBelow(version, OLDEST_GO)) throw new ToolError(cannotCompile(tool, `the one on PATH is ${version.join('.')}`));
  return isBelow(version, TOO_NEW_GO) ? 'local' : FALLBACK_TOOLCHAIN;
}

/** "compiling trivy 0.74.0, 5 of 6, about 6 min, only this once" */
export function compilingLine(
  name: ToolName,
  tool: Tool,
  { index, count }: { readonly index: number; readonly count: number },
): string {
  return `compiling ${name} ${tool.version}, ${index} of ${count}, about ${tool.buildMinutes} min, only this once`;
}

function cannotCompile(tool: { readonly name: ToolName } & Tool, why: string): string {
  const variables = tool.binaries.map(variableOf).join(' and ');
  return `${tool.name} ${tool.version} is not on this machine and compiling it needs Go ${OLDEST_GO.join('.')} or later, but ${why}: install Go, or name a ready binary in ${variables}.`;
}

function isBelow(version: readonly number[], bound: readonly number[]): boolean {
  const differs = bound.findIndex((part, index) => version[index] !== part);
  return differs !== -1 && (version[differs] ?? 0) < (bound[differs] ?? 0);
}
