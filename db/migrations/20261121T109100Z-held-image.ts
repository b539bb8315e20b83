import { sql } from 'kysely';
import type { Kysely } from 'kysely';

const indexes = {
  build_digest: 'build (digest) where digest is not null',
  build_architecture_digest: 'build_architecture (digest) where digest is not null',
  tag_move_digest: 'tag_move (repository_id, digest)',
};

/** Who names an image is asked by its digest, before the image is deleted. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const [name, on] of Object.entries(indexes)) await sql.raw(`create index ${name} on ${on}`).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const name of Object.keys(indexes)) await sql.raw(`drop index ${name}`).execute(db);
}
