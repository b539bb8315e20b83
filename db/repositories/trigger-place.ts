import type { Database } from '../database.ts';
import type { TriggerRow } from '../tables/trigger.ts';

/** What a message says of the repository it is about. */
export interface TriggerPlaceNames {
  readonly instance: string;
  readonly region: string;
  readonly namespace: string;
  readonly repository: string;
  readonly repositoryType: 'public' | 'private';
  readonly repositoryCreatedAt: Date;
}

/** The repository of a trigger; of a namespace's trigger a made-up one called `test`. */
export async function findTriggerPlace(
  db: Database,
  { namespace_id: namespaceId, repository_id: repositoryId }: Pick<TriggerRow, 'namespace_id' | 'repository_id'>,
): Promise<TriggerPlaceNames> {
  const row = await db
    .selectFrom('namespace')
    .innerJoin('instance', 'instance.id', 'namespace.instance_id')
    .leftJoin('repository', (join) =>
      join.onRef('repository.namespace_id', '=', 'namespace.id').on('repository.id', '=', repositoryId ?? ''),
    )
    .where('namespace.id', '=', namespaceId)
    .select([
      'instance.name as instance',
      'instance.region',
      'namespace.name as namespace',
      'namespace.default_repository_type',
      'namespace.created_at as namespace_created_at',
      'repository.name as repository',
      'repository.type',
      'repository.created_at',
    ])
    .executeTakeFirstOrThrow();
  return {
    instance: row.instance,
    region: row.region,
    namespace: row.namespace,
    repository: row.repository ?? 'test',
    repositoryType: row.type ?? row.default_repository_type,
    repositoryCreatedAt: row.created_at ?? row.namespace_created_at,
  };
}
