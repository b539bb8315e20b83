import type { Architecture, BuildRuleDefinition } from '../../domain/build.ts';
import type { Reason } from '../../domain/errors.ts';
import type { RunCause } from '../../domain/record.ts';
import { get, readJson, send } from './api.ts';
import type { Page, QueuePlace } from './api-types.ts';
import { query } from './path-builder.ts';

/** A repository (docs/product.md, section 4). */
export interface Repository {
  readonly id: string;
  readonly instance: string;
  readonly namespace: string;
  readonly name: string;
  readonly type: 'public' | 'private';
  readonly tagImmutability: boolean;
  readonly summary: string;
  readonly description: string;
  /** null: a local repository, never built. */
  readonly codeSource: { readonly codeNamespace: string; readonly codeRepository: string } | null;
  readonly buildSettings: BuildSettings;
}
export interface BuildSettings {
  readonly autoBuild: boolean;
  readonly buildRegion: string | null;
  readonly noCache: boolean;
}

/** A build rule with what may be done with it. */
export interface BuildRule extends BuildRuleDefinition {
  readonly id: string;
  readonly isManualBuildAllowed: boolean;
  readonly manualBuildRefusal: string | null;
  readonly lastAutomaticStart: AutomaticStart | null;
  readonly version: number;
}
/** What became of a start by the clock or for a new base image. */
export interface AutomaticStart {
  readonly cause: 'schedule' | 'base_image';
  readonly at: string;
  readonly ref: string;
  readonly outcome: 'started' | 'already' | 'not_started';
  readonly run: string | null;
  readonly reason: Reason | null;
}

export type BuildStatus = 'pending' | 'building' | 'success' | 'failed' | 'canceled';
export interface Build {
  readonly id: string;
  readonly cause: RunCause;
  readonly ref: string;
  readonly refType: 'branch' | 'tag';
  readonly commit: string;
  readonly message: string | null;
  readonly imageTags: readonly string[];
  readonly status: BuildStatus;
  readonly partial: boolean;
  readonly queuePlace: QueuePlace | null;
  readonly architectures: readonly { readonly platform: Architecture }[];
  readonly queuedAt: string;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly reason: Reason | null;
  /** null outside a chain. */
  readonly run: string | null;
}

/** What a rule would take of the source, and which tags it would write. */
export interface RulePreview {
  readonly examined: number;
  readonly matched: number;
  readonly refs: readonly {
    readonly ref: string;
    readonly commit: string;
    readonly isExampleCommit: boolean;
    readonly groups: Readonly<Record<string, string>>;
    readonly tags: readonly string[];
    readonly problem: { readonly code: string; readonly text: string } | null;
  }[];
}

export function listRepositories(cursor: string | undefined, signal?: AbortSignal): Promise<Page<Repository>> {
  return get(`/v1/repositories${query({ limit: 50, cursor })}`, signal);
}

export function fetchRepository(id: string, signal?: AbortSignal): Promise<Repository> {
  return get(path(id), signal);
}

/** Changes the build settings; everything else stays. */
export async function changeBuildSettings(repository: Repository, buildSettings: BuildSettings): Promise<void> {
  const { id, type, tagImmutability, summary, description } = repository;
  const body = { type, tagImmutability, summary, description, buildSettings };
  await send(path(id), { method: 'PUT', body });
}

export function listBuildRules(repository: string, signal?: AbortSignal): Promise<Page<BuildRule>> {
  return get(`${path(repository)}/build-rules?limit=100`, signal);
}

/** A new rule, or with `of` the change of one, made to the version the reader saw. */
export async function saveBuildRule(
  repository: string,
  definition: unknown,
  of: Pick<BuildRule, 'id' | 'version'> | null,
): Promise<void> {
  if (of === null) await send(`${path(repository)}/build-rules`, { method: 'POST', body: definition });
  else await send(rulePath(of.id), { method: 'PUT', body: definition, ifMatch: of.version });
}

export async function deleteBuildRule({ id, version }: Pick<BuildRule, 'id' | 'version'>): Promise<void> {
  await send(rulePath(id), { method: 'DELETE', ifMatch: version });
}

export async function previewBuildRule(
  question: { readonly rule: unknown; readonly repository: string },
  signal?: AbortSignal,
): Promise<RulePreview> {
  const answer = await send('/v1/build-rules/preview', { method: 'POST', body: question, signal });
  return readJson(answer);
}

/** Builds a rule's own ref, or the one named. */
export async function startBuild(rule: string, ref?: string): Promise<void> {
  await send(`${rulePath(rule)}/builds`, { method: 'POST', body: ref === undefined ? {} : { ref } });
}

export function listBuilds(repository: string, signal?: AbortSignal): Promise<Page<Build>> {
  return get(`${path(repository)}/builds?limit=30`, signal);
}

export async function cancelBuild(id: string): Promise<void> {
  await send(`/v1/builds/${encodeURIComponent(id)}/cancel`, { method: 'POST' });
}

function path(repository: string): string {
  return `/v1/repositories/${encodeURIComponent(repository)}`;
}

function rulePath(rule: string): string {
  return `/v1/build-rules/${encodeURIComponent(rule)}`;
}
