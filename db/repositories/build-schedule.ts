import { sql } from 'kysely';
import type { BuildRuleDefinition } from '../../domain/build.ts';
import type { Database } from '../database.ts';

/** A rule that builds by itself at times. */
export interface ScheduledRule extends NonNullable<BuildRuleDefinition['schedule']> {
  readonly ruleId: string;
}

/** Every enabled rule with a schedule whose repository has a source. */
export async function listScheduledRules(db: Database): Promise<ScheduledRule[]> {
  const rows = await db
    .selectFrom('build_rule')
    .innerJoin('source_binding', 'source_binding.repository_id', 'build_rule.repository_id')
    .where('build_rule.enabled', '=', true)
    .where(sql<boolean>`jsonb_typeof(build_rule.definition -> 'schedule') = 'object'`)
    .select(['build_rule.id', 'build_rule.definition'])
    .orderBy('build_rule.id')
    .execute();
  return rows.flatMap(({ id, definition: { schedule } }) => (schedule === null ? [] : [{ ruleId: id, ...schedule }]));
}
