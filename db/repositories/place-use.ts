import { sql } from 'kysely';
import type { RawBuilder } from 'kysely';
import { liveRunStatuses } from '../../domain/record.ts';
import type { Database } from '../database.ts';

/** What makes a run, a chain or a replication rule one of this namespace or repository. */
export interface PlaceConditions {
  readonly run: RawBuilder<boolean>;
  readonly chain: RawBuilder<boolean>;
  readonly rule: RawBuilder<boolean>;
}

/** What keeps a namespace or repository from being deleted, in words; undefined when nothing does (docs/product.md, section 3). */
export async function placeUse(db: Database, { run, chain, rule }: PlaceConditions): Promise<string | undefined> {
  const live = await db
    .selectFrom('run')
    .select('number')
    .where(run)
    .where('status', 'in', liveRunStatuses)
    .executeTakeFirst();
  if (live !== undefined) return `run #${live.number} works in it`;
  const covering = await db.selectFrom('chain').select('name').where(chain).executeTakeFirst();
  if (covering !== undefined) return `the chain "${covering.name}" names it`;
  const copying = await db.selectFrom('replication_rule').select('name').where(rule).executeTakeFirst();
  return copying === undefined ? undefined : `the replication rule "${copying.name}" names it`;
}

/** The text at a path of a definition, such as `scope,namespace`. */
export function definitionAt(path: string): RawBuilder<string | null> {
  return sql<string | null>`definition #>> ${sql.lit(`{${path}}`)}`;
}
