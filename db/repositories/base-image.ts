import { sql } from 'kysely';
import type { RawBuilder } from 'kysely';
import { baseImageNamespace } from '../../domain/instance.ts';
import type { BaseImageDescription, BaseImagePlatform } from '../../domain/base-image.ts';
import type { PageQuery } from '../../domain/page.ts';
import type { Database } from '../database.ts';
import { newId } from '../new-id.ts';
import type { BaseImageRow } from '../tables/base-image.ts';

/** Where hosted base images may stand: a repository of the reserved namespace of a managed instance. */
export interface BaseImagePlace {
  readonly instanceId: string;
  /** Below the namespace. */
  readonly repository: string;
}

export async function listBaseImagePlaces(db: Database): Promise<BaseImagePlace[]> {
  return db
    .selectFrom('repository')
    .innerJoin('namespace', 'namespace.id', 'repository.namespace_id')
    .innerJoin('instance', 'instance.id', 'namespace.instance_id')
    .where('namespace.name', '=', baseImageNamespace)
    .where('instance.kind', '=', 'managed')
    .select(['instance.id as instanceId', 'repository.name as repository'])
    .orderBy('instance.name')
    .orderBy('repository.name')
    .execute();
}

/** A hosted base image as its registry has it now. */
export interface SeenBaseImage extends BaseImagePlace, BaseImageDescription {
  readonly tag: string;
  readonly name: string;
  readonly digest: string;
  readonly platforms: readonly BaseImagePlatform[];
}

/** Keeps what stands in one place, and forgets what no longer does; an image that did not change keeps its time. */
export async function recordBaseImages(
  db: Database,
  { place, images, at }: { place: BaseImagePlace; images: readonly SeenBaseImage[]; at: Date },
): Promise<void> {
  await db.transaction().execute(async (trx) => {
    for (const { instanceId, repository, tag, name, digest, platforms, madeAt, source } of images) {
      const now = { name, digest, platforms: JSON.stringify(platforms), source };
      await trx
        .insertInto('base_image')
        .values({
          id: newId('crbi'),
          instance_id: instanceId,
          repository,
          tag,
          ...now,
          made_at: madeAt === null ? null : new Date(madeAt),
          updated_at: at,
          seen_at: at,
        })
        .onConflict((conflict) =>
          conflict.columns(['instance_id', 'repository', 'tag']).doUpdateSet((eb) => ({
            ...now,
            made_at: eb.ref('excluded.made_at'),
            seen_at: at,
            updated_at: sql<Date>`case when base_image.digest = excluded.digest then base_image.updated_at else excluded.updated_at end`,
          })),
        )
        .execute();
    }
    await trx
      .deleteFrom('base_image')
      .where('instance_id', '=', place.instanceId)
      .where('repository', '=', place.repository)
      .where('seen_at', '<', at)
      .execute();
  });
}

/** Forgets the images of repositories that are no more. */
export async function forgetLostBaseImages(db: Database): Promise<void> {
  await db
    .deleteFrom('base_image')
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('repository')
            .innerJoin('namespace', 'namespace.id', 'repository.namespace_id')
            .select('repository.id')
            .where('namespace.name', '=', baseImageNamespace)
            .whereRef('namespace.instance_id', '=', 'base_image.instance_id')
            .whereRef('repository.name', '=', 'base_image.repository'),
        ),
      ),
    )
    .execute();
}

/** The hosted base images with their instance's name, by name; of one instance or of all. */
export async function listBaseImages(
  db: Database,
  { instanceId }: { instanceId?: string | undefined },
  { limit, after }: PageQuery,
): Promise<(BaseImageRow & { readonly instance: string })[]> {
  let query = db
    .selectFrom('base_image')
    .innerJoin('instance', 'instance.id', 'base_image.instance_id')
    .selectAll('base_image')
    .select('instance.name as instance');
  if (instanceId !== undefined) query = query.where('base_image.instance_id', '=', instanceId);
  if (after !== undefined) query = query.where(isAfter(after));
  return query
    .orderBy('base_image.name')
    .orderBy('base_image.id')
    .limit(limit + 1)
    .execute();
}

function isAfter({ key, id }: { readonly key: string; readonly id: string }): RawBuilder<boolean> {
  return sql<boolean>`(base_image.name, base_image.id) > (${key}, ${id})`;
}
