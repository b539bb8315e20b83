import { sql } from 'kysely';
import type { PageQuery } from '../../domain/page.ts';
import type { Database } from '../database.ts';
import type { ScanRow } from '../tables/scan.ts';

/** A tag as the repository's page shows it: pointing, or waiting for a verdict, or denied before it ever pointed. */
export interface TagRow {
  readonly tag: string;
  readonly state: 'tagged' | 'held' | 'blocked';
  readonly digest: string;
  readonly previous_digest: string | null;
  readonly at: Date;
  readonly run_id: string;
  /** 0: built outside a chain. */
  readonly run_number: number;
  readonly platforms: readonly string[];
  readonly size_bytes: number | null;
  readonly scan_id: string | null;
  readonly scan_status: ScanRow['status'] | null;
  readonly scan_verdict: ScanRow['verdict'];
}

/** Tags that point, and those of images built whose tags wait or were refused; a deleted image has none. */
const tagsOf = (repositoryId: string) => sql`
  select tag_pointer.tag, 'tagged' as state, tag_pointer.digest, tag_pointer.previous_digest, tag_pointer.moved_at as at,
    tag_pointer.run_id
  from tag_pointer where tag_pointer.repository_id = ${repositoryId}
  union all
  select wanted.tag, case when run.result = 'denied' then 'blocked' else 'held' end, run.digest, null,
    coalesce(run.ended_at, run.started_at, run.queued_at), run.id
  from run cross join lateral jsonb_array_elements_text(run.tags) as wanted (tag)
  where run.repository_id = ${repositoryId} and run.build_id is not null and run.digest is not null
    and (run.ended_at is null or run.result = 'denied')
    and not exists (select 1 from tag_pointer where tag_pointer.repository_id = run.repository_id
      and tag_pointer.tag = wanted.tag and tag_pointer.digest = run.digest)
    and not exists (select 1 from run_step where run_step.run_id = run.id and run_step.name = 'scan'
      and run_step.result ->> 'isDeleted' = 'true')`;

/** A repository's tags, the newest first; with `tag` only that one's rows. */
export async function listTags(
  db: Database,
  { repositoryId, tag }: { repositoryId: string; tag?: string },
  { limit, after }: PageQuery,
): Promise<TagRow[]> {
  const later =
    after === undefined
      ? sql`true`
      : sql`(listed.at, listed.run_id || '/' || listed.tag) < (${new Date(after.key)}, ${after.id})`;
  const { rows } = await sql<TagRow>`
    select listed.*, coalesce(run.number, 0) as run_number, scanned.id as scan_id, scanned.status as scan_status,
      scanned.verdict as scan_verdict,
      coalesce((select jsonb_agg(platform order by platform) from build_architecture
        where build_id = run.build_id and digest is not null), '[]'::jsonb) as platforms,
      (select sum(size_bytes)::bigint from build_architecture where build_id = run.build_id) as size_bytes
    from (${tagsOf(repositoryId)}) as listed
    left join run on run.id = listed.run_id
    left join lateral (
      select id, status, verdict from scan where scan.repository_id = ${repositoryId} and scan.digest = listed.digest
      order by created_at desc limit 1) as scanned on true
    where ${later} and ${tag === undefined ? sql`true` : sql`listed.tag = ${tag}`}
    order by listed.at desc, listed.run_id || '/' || listed.tag desc
    limit ${limit + 1}`.execute(db);
  return rows;
}
