import { sql } from 'kysely';
import type { Kysely } from 'kysely';

const ofOneRepository = sql`definition #>> '{scope,repository}' is not null`;

async function setAllEffective(db: Kysely<unknown>, value: 'null' | 'true'): Promise<void> {
  for (const table of ['chain', 'chain_version'])
    await sql`update ${sql.table(table)} set definition = jsonb_set(definition, '{scope,allEffective}', ${value}::jsonb)
      where ${ofOneRepository}`.execute(db);
}

/** A chain of one repository has no choice of repositories: `allEffective` is null. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await setAllEffective(db, 'null');
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await setAllEffective(db, 'true');
}
