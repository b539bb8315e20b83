import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { Database } from '../db/database.ts';
import type { PendingDelivery } from '../db/repositories/inbox.ts';
import { listAutoBuildRules } from '../db/repositories/run-context.ts';
import type { IdentifiedBuildRule, RunContext } from '../db/repositories/run-context.ts';
import { buildRuleMatch } from '../domain/build.ts';
import { limits } from '../domain/limits.ts';
import { fullRefOf, mayLag } from '../domain/late-push.ts';
import type { HostTips } from '../domain/late-push.ts';
import type { SourceChange } from '../domain/source.ts';
import { sourceHosts } from './source-hosts/index.ts';
import type { ParsedDelivery } from './source-hosts/source-host.ts';
import type { SourceTips } from './source-tips.ts';

/** A delivery read, with where its refs stand at their host; everything that is known before a lock is taken. */
export interface LookedUpDelivery {
  readonly parsed: ParsedDelivery;
  /** null: not asked, or the host did not answer. */
  readonly tips: HostTips | null;
}

export interface LookUpDeps {
  readonly db: Database;
  readonly sourceTips: SourceTips;
  /** How long a host gets to catch up with its own hook before what it shows is believed. */
  readonly lagMs: number;
  /** Runs database work in turn, so that many deliveries at once do not take every connection. */
  readonly inTurn: <Result>(work: () => Promise<Result>) => Promise<Result>;
}

/**
 * Reads a pending delivery and asks the host where the refs that would be built stand now, without a lock. Throws where the body
 * of a host that signs none cannot be checked: it is tried again later.
 */
export async function lookUpDelivery(deps: LookUpDeps, delivery: PendingDelivery): Promise<LookedUpDelivery> {
  const parsed = await parseDelivery(delivery);
  if (parsed.kind !== 'changes') return { parsed, tips: null };
  const { isBodySigned } = sourceHosts[delivery.host];
  const asked = isBodySigned ? await changesToBuild(deps, delivery, parsed.changes) : parsed.changes;
  if (asked.length === 0) return { parsed, tips: null };
  const tips = await readTips(deps, delivery.repository_id, asked);
  if (tips === null && !isBodySigned)
    throw new Error('The source host signs no bodies and cannot be asked what was pushed.');
  return { parsed, tips };
}

async function parseDelivery(delivery: PendingDelivery): Promise<ParsedDelivery> {
  const { code_namespace: codeNamespace, code_repository: codeRepository, body } = delivery;
  if (codeNamespace === null || codeRepository === null || body === null) return { kind: 'ignored', reason: 'unbound' };
  const raw = await promisify(gunzip)(body, { maxOutputLength: limits.hookBodyBytes });
  return sourceHosts[delivery.host].parse(delivery.event, raw, { codeNamespace, codeRepository });
}

/** The host is asked about nothing that would start nothing. */
async function changesToBuild(
  { db, inTurn }: LookUpDeps,
  delivery: PendingDelivery,
  changes: readonly SourceChange[],
): Promise<readonly SourceChange[]> {
  const living = changes.filter(({ isDeleted, isFork }) => !isDeleted && !isFork);
  if (living.length === 0) return [];
  const buildRules = await inTurn(() => listAutoBuildRules(db, delivery.repository_id));
  return living.filter((change) => rulesOf({ buildRules }, change).length > 0);
}

async function readTips(
  { sourceTips, lagMs }: LookUpDeps,
  repositoryId: string,
  changes: readonly SourceChange[],
): Promise<HostTips | null> {
  const fullRefs = [...new Set(changes.map(fullRefOf))];
  const tips = await sourceTips.read(repositoryId, fullRefs);
  if (tips === null || !changes.some((change) => mayLag(change, tips))) return tips;
  await new Promise((resolve) => setTimeout(resolve, lagMs));
  return (await sourceTips.read(repositoryId, fullRefs)) ?? tips;
}

export interface RuleMatch {
  readonly rule: IdentifiedBuildRule;
  readonly groups: Readonly<Record<string, string>>;
}

/** The build rules that take a ref, disabled ones too. */
export function rulesOf(
  { buildRules }: Pick<RunContext, 'buildRules'>,
  ref: Pick<SourceChange, 'ref' | 'refType'>,
): RuleMatch[] {
  return buildRules.flatMap((rule) => {
    const groups = buildRuleMatch(rule, ref);
    return groups === undefined ? [] : [{ rule, groups }];
  });
}
