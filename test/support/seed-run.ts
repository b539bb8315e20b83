import { randomBytes } from 'node:crypto';
import { createSecretBox, type SecretBox } from '../../activities/drivers/secret-box.ts';
import type { Database } from '../../db/database.ts';
import { findRunContext } from '../../db/repositories/run-context.ts';
import { chainSnapshot, insertRun } from '../../db/repositories/run-start.ts';
import { defaultTimings, type RepositoryRef, type RunImages } from '../../domain/chain.ts';
import { seedChain, seedRepository, seedTrigger } from './seed.ts';

/** A run that took up an existing image, with its chain and triggers: what the activities of its later steps start from. */
export interface SeededRun {
  readonly runId: string;
  readonly repository: RepositoryRef;
  readonly images: RunImages;
  /** Ids in the order of `triggers`. */
  readonly triggers: readonly string[];
  readonly secretBox: SecretBox;
}

/** Inserts the run with the given triggers, as users would write them. */
export async function seedRun(
  db: Database,
  { triggers = [], at = new Date() }: { triggers?: readonly Readonly<Record<string, unknown>>[]; at?: Date } = {},
): Promise<SeededRun> {
  const secretBox = createSecretBox({ keys: [randomBytes(32)] });
  const seeded = await seedRepository(db, secretBox);
  const ids: string[] = [];
  for (const trigger of triggers) ids.push(await seedTrigger(db, secretBox, seeded, trigger));
  await seedChain(db, seeded.instanceId, { name: `chain-${randomBytes(4).toString('hex')}` });
  const context = await findRunContext(db, seeded.id);
  if (context === undefined || context.chain === null) throw new Error('The seeded repository has no chain.');
  const { repository, chain } = context;
  const digest = `sha256:${'a'.repeat(64)}`;
  const run = await db.transaction().execute((trx) =>
    insertRun(trx, {
      repository,
      chain: chainSnapshot(context, chain),
      triggers: context.triggers,
      origin: { kind: 'image', tag: 'v1', digest },
      cause: 'manual',
      actor: null,
      orderNo: 1,
      workflowId: ({ runId }) => `chain/${chain.id}/manual/${runId}`,
      timings: defaultTimings,
      at,
    }),
  );
  const mediaType = 'application/vnd.oci.image.index.v1+json';
  const platform = { mediaType: 'application/vnd.oci.image.manifest.v1+json', sizeBytes: 100 };
  return {
    runId: run.id,
    repository,
    images: {
      digest,
      mediaType,
      tags: ['v1', 'latest'],
      platforms: [
        { ...platform, platform: 'linux/amd64', digest: `sha256:${'b'.repeat(64)}` },
        { ...platform, platform: 'linux/arm64', digest: `sha256:${'c'.repeat(64)}` },
      ],
    },
    triggers: ids,
    secretBox,
  };
}
