import type { FieldError, Reason } from '../../domain/errors.ts';
import type { RunCause, RunResult, RunStatus, SkipReason, StepName, StepState } from '../../domain/record.ts';
import type { LogStep } from '../../domain/log-steps.ts';
import type { Finding, SeverityCounts } from '../../domain/scan.ts';
import type { DeliveryStatus } from '../../domain/trigger.ts';
import type { LineRange } from './log-lines.ts';

/** A page of a list; `nextCursor` leads to the older ones. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly nextCursor: string | null;
}

/** RFC 9457 problem details as the API answers them. */
export interface Problem {
  readonly status: number;
  readonly title?: string;
  readonly detail?: string;
  readonly code?: string;
  readonly requestId?: string;
  readonly requiredAction?: string;
  readonly errors?: readonly FieldError[];
}

/** One architecture, destination or trigger of a step. Times are RFC 3339. */
export interface StepChild<Result = unknown> {
  readonly key: string;
  readonly state: StepState;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly reason: Reason | null;
  readonly result: Result | null;
}

interface StepOf<Name extends StepName, Result, Child> {
  readonly name: Name;
  readonly state: StepState;
  readonly why: SkipReason | null;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly queuedMs: number | null;
  /** Attempts that failed and were tried again. */
  readonly attempts: number;
  readonly reason: Reason | null;
  readonly result: Result | null;
  readonly children: readonly StepChild<Child>[];
}

/** `build` is there from the start; the rest once every architecture is built. */
export interface BuildResult {
  readonly build: string;
  readonly tags?: readonly string[];
  readonly platforms?: readonly { readonly platform: string; readonly digest: string }[];
  /** Architectures the image goes without. */
  readonly failed?: readonly { readonly platform: string }[];
}
export interface BuildChild {
  readonly digest: string;
  readonly sizeBytes: number;
  /** Steps of the Dockerfile; not told by builds of before. */
  readonly steps?: number;
  readonly cachedSteps: number | null;
}

/** A tag that a newer run had moved already; `by` is that run's place in the order of source events. */
export interface FencedTag {
  readonly tag: string;
  readonly by: number;
}

export interface PushResult {
  readonly digest: string;
  readonly mediaType: string;
  readonly tags: readonly string[];
  /** The tags wait for the scan's verdict. */
  readonly isHeld: boolean;
  readonly fenced: readonly FencedTag[];
}

export interface ScanEngine {
  readonly name: string;
  readonly version: string;
  readonly dataUpdatedAt: string | null;
  readonly isSampleData: boolean;
}
export interface ScanResult {
  readonly scan: string;
  readonly verdict: 'passed' | 'denied' | 'error';
  readonly counts: SeverityCounts;
  readonly fixable: SeverityCounts;
  /** The comparison that denied, such as `critical 2 ≥ 1`. */
  readonly rule: string | null;
  readonly engines: readonly ScanEngine[];
  readonly cves: readonly string[];
  /** Tags that waited for this verdict and moved. */
  readonly tags: readonly string[];
  readonly fenced: readonly FencedTag[];
  readonly backup: readonly string[];
  readonly isDeleted: boolean;
}
export interface ScanChild {
  readonly counts: SeverityCounts;
  readonly unscannable: string | null;
}

export interface BlobCounts {
  readonly copied: number;
  readonly mounted: number;
  readonly skipped: number;
}
export interface ReplicateResult {
  readonly tasks: number;
  readonly bytes: number;
  readonly blobs: BlobCounts;
}
export interface ReplicateChild {
  readonly task: string;
  readonly bytes: number;
  readonly blobs: BlobCounts;
  readonly verifiedAt: string | null;
}

export interface DeliveryRef {
  readonly id: string;
  readonly tag: string | null;
  readonly status: DeliveryStatus;
}
export interface TriggerResult {
  readonly deliveries: readonly (DeliveryRef & { readonly trigger: string })[];
  readonly untriggered: number;
}
export interface TriggerChild {
  readonly name: string;
  readonly deliveries: readonly DeliveryRef[];
}

export type BuildStep = StepOf<'build', BuildResult, BuildChild>;
export type PushStep = StepOf<'push', PushResult, never>;
export type ScanStep = StepOf<'scan', ScanResult, ScanChild>;
export type ReplicateStep = StepOf<'replicate', ReplicateResult, ReplicateChild>;
export type TriggerStep = StepOf<'trigger', TriggerResult, TriggerChild>;
export type Step = BuildStep | PushStep | ScanStep | ReplicateStep | TriggerStep;

/** One execution of a chain: what the Record page shows (docs/product.md, section 12). */
export interface Run {
  readonly id: string;
  readonly number: number;
  readonly status: RunStatus;
  readonly result: RunResult | null;
  readonly reason: Reason | null;
  readonly chain: {
    readonly id: string;
    readonly name: string;
    readonly version: number;
    /** null once the chain is deleted. */
    readonly currentVersion: number | null;
  } | null;
  readonly repository: {
    readonly id: string;
    readonly namespace: string;
    readonly name: string;
    readonly instance: string;
  };
  readonly cause: RunCause;
  readonly actor: string | null;
  readonly source: RunCommit | null;
  readonly images: readonly {
    readonly tag: string;
    readonly digest: string;
    readonly platforms: readonly string[];
  }[];
  readonly steps: readonly Step[];
  /** The newer run it gave way to, and the older one that gave way to it. */
  readonly supersededBy: OtherRun | null;
  readonly supersedes: OtherRun | null;
  /** Its place in the line while it waits. */
  readonly queue: QueuePlace | null;
  /** Its push was told after a newer one: it moves no tag another set. */
  readonly isLate: boolean;
  readonly queuedAt: string;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly attempt: number;
  /** The build of a run that builds, known before its step has a result. */
  readonly build: string | null;
  /** Tags the run means to write; `images` holds those it wrote. */
  readonly tags: readonly string[];
  readonly version: number;
  readonly cancelRequestedBy: string | null;
  readonly temporal: { readonly workflowId: string; readonly runId: string | null; readonly url: string | null };
}

export interface OtherRun {
  readonly id: string;
  readonly number: number;
}
export interface QueuePlace {
  /** 1 is next. */
  readonly place: number;
  readonly of: number;
}
/** A tag with the other run of its fence. */
export interface TagFence {
  readonly tag: string;
  readonly run: OtherRun;
}

/** One run with what only its own page tells. */
export interface RunRecord extends Run {
  readonly tagFence: { readonly heldBy: readonly TagFence[]; readonly keptFrom: readonly TagFence[] };
}

export interface RunCommit {
  readonly ref: string;
  readonly refType: 'branch' | 'tag';
  readonly commit: string;
  readonly message: string | null;
  readonly author: string | null;
}

export interface RunEvent {
  readonly id: string;
  readonly type: string;
  readonly data: unknown;
  readonly at: string;
}

export interface LogLine {
  readonly line: number;
  readonly time: string;
  readonly stage: string;
  readonly platform: string | null;
  readonly text: string;
}
/** Where a log stands, as every answer about it says. */
interface LogHead {
  /** How many lines the log has now. */
  readonly lines: number;
  readonly ended: boolean;
  /** Its lines are gone because their time is over. */
  readonly removed: boolean;
}
export interface LogPage extends LogHead {
  readonly items: readonly LogLine[];
}
export interface LogMatches extends LogHead {
  readonly items: readonly LogLine[];
  /** Where the search goes on; null when it is through. */
  readonly nextOffset: number | null;
}
export interface LogSteps extends LogHead {
  readonly items: readonly LogStep[];
}
export interface LogRanges extends LogHead {
  readonly items: readonly LineRange[];
}

export interface ScanFinding extends Finding {
  readonly id: string;
  readonly engine: string;
}

export interface DeliveryAttempt {
  readonly number: number;
  readonly at: string;
  readonly durationMs: number | null;
  readonly statusCode: number | null;
  readonly errorClass: string | null;
  readonly requestHeaders: Readonly<Record<string, string>>;
  readonly requestBody: string;
  readonly responseHeaders: Readonly<Record<string, string>> | null;
  readonly responseBody: string | null;
}
export interface Delivery {
  readonly id: string;
  readonly trigger: string;
  readonly status: DeliveryStatus;
  readonly webhookId: string;
  readonly event: string;
  readonly tag: string | null;
  readonly reason: Reason | null;
  readonly resends: number;
  readonly attempts: readonly DeliveryAttempt[];
  readonly nextAttemptAt: string | null;
}

export interface Instance {
  readonly id: string;
  readonly name: string;
  readonly region: string;
  readonly registryUrl: string;
}

export interface Session {
  readonly actor: string;
}
