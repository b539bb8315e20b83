import { sql, type Kysely } from 'kysely';

/** What a rule written before these fields means. */
const ruleDefaults = `'{"paths": null, "schedule": null, "onBaseImageUpdate": false, "secrets": [], "targetStage": null,
  "allowPartial": false}'::jsonb`;
const ruleFields = `'{paths,schedule,onBaseImageUpdate,secrets,targetStage,allowPartial}'::text[]`;

/** Rules, and the snapshots of them that builds and runs keep. */
const places = [
  { table: 'build_rule', column: 'definition', rule: 'definition', set: (rule: string) => rule },
  { table: 'build', column: 'rule', rule: 'rule', set: (rule: string) => rule },
  {
    table: 'run',
    column: 'input',
    rule: `(input #> '{origin,rule}')`,
    set: (rule: string) => `jsonb_set(input, '{origin,rule}', ${rule})`,
  },
] as const;

/** Every image tag of a rule, changed by an expression on `tag`. */
function withTags(rule: string, changed: string): string {
  return `jsonb_set(${rule}, '{imageTags}', (select coalesce(jsonb_agg(${changed} order by place), '[]'::jsonb)
    from jsonb_array_elements(${rule} -> 'imageTags') with ordinality as tags (tag, place)))`;
}

/** Path filters, schedules, base image updates, secrets, target stage, partial builds, and the time zone of image tags. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const { table, column, rule, set } of places) {
    const tags = withTags(rule, `'{"timeZone": "Etc/GMT-8"}'::jsonb || tag`);
    const filled = set(`(${ruleDefaults} || ${tags})`);
    await sql.raw(`update ${table} set ${column} = ${filled} where ${rule} is not null`).execute(db);
  }
  for (const statement of [
    `create table build_secret (
      id text primary key, namespace_id text not null references namespace on delete cascade, name text not null,
      secret_ref text not null references secret, created_at timestamptz not null default now(),
      updated_at timestamptz not null, constraint build_secret_name unique (namespace_id, name))`,
    `create index build_rule_secrets on build_rule using gin ((definition -> 'secrets') jsonb_path_ops)`,
  ])
    await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop index build_rule_secrets`.execute(db);
  await sql`drop table build_secret`.execute(db);
  for (const { table, column, rule, set } of places) {
    const emptied = set(`(${withTags(rule, `tag - 'timeZone'`)} - ${ruleFields})`);
    await sql.raw(`update ${table} set ${column} = ${emptied} where ${rule} is not null`).execute(db);
  }
}
