import { sql } from 'kysely';
import type { Database } from '../database.ts';

/** The last successful build of each rule. */
const rulesWithLastBuild = sql`build_rule rule
    cross join lateral (
      select build.id, build.ref from build
      where build.build_rule_id = rule.id and build.status = 'success'
      order by build.queued_at desc limit 1) last`;
const asksForChanges = sql`rule.enabled and rule.definition -> 'onBaseImageUpdate' = 'true'::jsonb`;

/** What the last builds of rules that ask for changes were made from and no instance hosts, those asked about longest ago first. */
export async function listUsedImages(db: Database, { limit }: { limit: number }): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select used.name
    from ${rulesWithLastBuild}
    join build_base_image used on used.build_id = last.id
    left join used_image on used_image.name = used.name
    where ${asksForChanges} and not exists (select from base_image where base_image.name = used.name)
    group by used.name, used_image.seen_at
    order by used_image.seen_at nulls first, used.name
    limit ${limit}`.execute(db);
  return rows.map(({ name }) => name);
}

/** Keeps what an image is now; one that did not change keeps its time. */
export async function recordUsedImage(
  db: Database,
  { name, digest, at }: { name: string; digest: string; at: Date },
): Promise<void> {
  await db
    .insertInto('used_image')
    .values({ name, digest, updated_at: at, seen_at: at })
    .onConflict((conflict) =>
      conflict.column('name').doUpdateSet({
        digest,
        seen_at: at,
        updated_at: sql<Date>`case when used_image.digest = excluded.digest then used_image.updated_at else excluded.updated_at end`,
      }),
    )
    .execute();
}

/** Forgets images that were not asked about since: no build that counts was made from them. */
export async function forgetUsedImages(db: Database, { before }: { before: Date }): Promise<void> {
  await db.deleteFrom('used_image').where('seen_at', '<', before).execute();
}

/** The managed or external instance whose registry is at this host, or undefined. */
export async function findInstanceAt(db: Database, host: string): Promise<{ id: string } | undefined> {
  return db
    .selectFrom('instance')
    .select('id')
    .where(sql<string>`split_part(split_part(registry_url, '://', 2), '/', 1)`, '=', host)
    .limit(1)
    .executeTakeFirst();
}

/** A rule whose last successful build was made from a base image that is another one now. */
export interface StaleBuild {
  readonly ruleId: string;
  readonly ref: string;
  readonly image: string;
  /** When the newest of the images it was made from was first seen as it is now. */
  readonly updatedAt: Date;
}

/**
 * The rules that build for changed base images and were not built for this change yet: no run of theirs was started by it, and none
 * that lives was queued after it. One that failed is not tried again before the next change or push.
 * Of an image that stands in several places, the one that changed last counts. Those that could not be started when it was last tried
 * come after the others, so that a source that is away holds up no other's.
 */
export async function listStaleBuilds(db: Database, { limit }: { limit: number }): Promise<StaleBuild[]> {
  const { rows } = await sql<StaleBuild>`
    select rule.id as "ruleId", last.ref, stale.name as image, stale.updated_at as "updatedAt"
    from ${rulesWithLastBuild}
    cross join lateral (
      select used.name, newest.updated_at
      from build_base_image used
      cross join lateral (
        select digest, updated_at from base_image where base_image.name = used.name
        union all
        select digest, updated_at from used_image where used_image.name = used.name
        order by updated_at desc limit 1) newest
      where used.build_id = last.id and newest.digest <> used.digest
      order by newest.updated_at desc limit 1) stale
    where ${asksForChanges}
      and not exists (
        select from run where run.build_rule_id = rule.id and run.queued_at > stale.updated_at
          and (run.cause = 'base_image' or run.ended_at is null))
    order by coalesce(rule.last_automatic_start ->> 'outcome' = 'not_started', false), stale.updated_at, rule.id
    limit ${limit}`.execute(db);
  return rows;
}
