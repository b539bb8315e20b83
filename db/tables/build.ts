import type { ColumnType, Generated, Insertable, Selectable, Updateable } from 'kysely';
import type { Architecture, BuildRuleDefinition } from '../../domain/build.ts';
import type { Reason } from '../../domain/errors.ts';
import type { LogMark } from '../../domain/log-steps.ts';
import type { RunCause } from '../../domain/record.ts';
import type { Json } from '../json.ts';

/** When and how to build (docs/product.md, section 6). */
export interface BuildRuleTable {
  id: string;
  repository_id: string;
  definition: Json<BuildRuleDefinition>;
  enabled: boolean;
  /** Grows with every change; the ETag. */
  version: Generated<number>;
  /** null: it was never started by the clock or for a base image. */
  last_automatic_start: ColumnType<NotedStart | null, never, string>;
  created_at: ColumnType<Date, Date | undefined, never>;
}

/** What became of a start by the clock or for a changed base image; `already`: a run of the same commit was live. */
export interface NotedStart {
  readonly cause: Extract<RunCause, 'schedule' | 'base_image'>;
  readonly ref: string;
  readonly outcome: 'started' | 'already' | 'not_started';
  readonly run: string | null;
  /** Why it was not started. */
  readonly reason: Reason | null;
  readonly at: string;
}

/** One execution of a build rule (docs/product.md, section 7). */
export interface BuildTable {
  id: string;
  run_id: string;
  repository_id: string;
  build_rule_id: string | null;
  /** The rule as it was. */
  rule: Json<BuildRuleDefinition>;
  /** Whose workers build it. */
  region: string;
  cause: RunCause;
  ref: string;
  ref_type: 'branch' | 'tag';
  commit: string;
  message: string | null;
  author: string | null;
  image_tags: Json<readonly string[]>;
  digest: string | null;
  /** The index lacks architectures that failed; the rule allows it. */
  is_partial: Generated<boolean>;
  status: 'pending' | 'building' | 'success' | 'failed' | 'canceled';
  stage: 'clone' | 'prepare' | 'build' | 'index' | 'push' | null;
  reason: Json<BuildReason | null>;
  /** Lines and bytes of the log so far; all architectures share one numbering. */
  log_lines: Generated<number>;
  log_bytes: Generated<number>;
  is_log_truncated: Generated<boolean>;
  /** Its time is over: the segments are gone, the counts stay. */
  log_removed_at: ColumnType<Date | null, Date | null | undefined, Date | null>;
  queued_at: Date;
  started_at: Date | null;
  ended_at: Date | null;
}

/** Why a build failed, and whose fault it is. */
export interface BuildReason extends Reason {
  readonly fault: 'user' | 'system';
}

/** One architecture of a build. */
export interface BuildArchitectureTable {
  build_id: string;
  platform: Architecture;
  status: 'pending' | 'building' | 'success' | 'failed' | 'canceled';
  digest: string | null;
  media_type: string | null;
  size_bytes: number | null;
  cached_steps: number | null;
  /** Taken over from an earlier build of the commit. */
  is_reused: Generated<boolean>;
  attempts: Generated<number>;
  reason: Json<BuildReason | null>;
  started_at: Date | null;
  ended_at: Date | null;
}

/** One stored piece of a build's log: an object of `lines` lines starting at line `first_line`. */
export interface LogSegmentTable {
  build_id: string;
  first_line: number;
  lines: number;
  bytes: number;
  /** Where its text begins in the raw log; null before this was kept. */
  first_byte: number | null;
  /** Steps that begin or end in it. */
  marks: Json<readonly LogMark[]>;
  sha256: string;
  object_key: string;
  platform: string | null;
  attempt: number;
}

/** A branch's remote cache for one architecture: where it is, and how well it serves (docs/product.md, section 7, "Caches"). */
export interface BuildCacheTable {
  repository_id: string;
  branch: string;
  platform: Architecture;
  /** `slipway-cache/<repository id>:<tag>` in the repository's own instance. */
  ref: string;
  size_bytes: number;
  /** Steps of the branch's builds that were taken from a cache, and those that were not. */
  hits: number;
  misses: number;
  last_used_at: Date;
}

/** A base image a build started from, as its registry had it then. */
export interface BuildBaseImageTable {
  build_id: string;
  /** As BuildKit names it: `docker.io/library/debian:bookworm-slim`. */
  name: string;
  digest: string;
}

/** A worker process that builds, as it says of itself every few seconds, in each of its regions. */
export interface BuildWorkerTable {
  id: string;
  region: string;
  platforms: Json<readonly Architecture[]>;
  /** Builds of one architecture it takes at once. */
  slots: number;
  /** How builds are kept apart: `shared` (one daemon) or `namespace` (a daemon each). */
  isolation: string;
  seen_at: Date;
}

export type BuildRuleRow = Selectable<BuildRuleTable>;
export type NewBuildRule = Insertable<BuildRuleTable>;
export type BuildRuleUpdate = Updateable<BuildRuleTable>;
export type BuildRow = Selectable<BuildTable>;
export type NewBuild = Insertable<BuildTable>;
export type BuildUpdate = Updateable<BuildTable>;
export type BuildArchitectureRow = Selectable<BuildArchitectureTable>;
export type BuildArchitectureUpdate = Updateable<BuildArchitectureTable>;
export type BuildWorkerRow = Selectable<BuildWorkerTable>;
export type LogSegmentRow = Selectable<LogSegmentTable>;
export type BuildCacheRow = Selectable<BuildCacheTable>;
export type NewBuildCache = Insertable<BuildCacheTable>;
export type BuildBaseImageRow = Selectable<BuildBaseImageTable>;
