import { randomBytes } from 'node:crypto';
import { createBaseImageActivities } from '../../activities/base-image.ts';
import { createSecretBox } from '../../activities/drivers/secret-box.ts';
import type { Database } from '../../db/database.ts';
import { newId } from '../../db/new-id.ts';
import { insertAutomaticRun } from '../../db/repositories/automatic-run.ts';
import { defaultTimings } from '../../domain/chain.ts';
import { registryClient, scriptedRegistry } from './registry-client.ts';
import { runActivity } from './run-activity.ts';
import { seedBuildRule, seedRepository } from './seed.ts';

const secretBox = createSecretBox({ keys: [randomBytes(32)] });
/** Where the image stands, and how Dockerfiles write it. */
export const baseImagePath = 'slipway-base/library/debian';
export const baseImageTitle = 'docker.io/library/debian:bookworm-slim';

/** An instance whose namespace of base images holds Debian, and a repository there with a rule that asks for changes. */
export async function newBaseImageWorld(
  db: Database,
  { onBaseImageUpdate = true }: { onBaseImageUpdate?: boolean } = {},
) {
  const repository = await seedRepository(db, secretBox);
  const namespaceId = newId('crn');
  const kept = {
    auto_create_repository: true,
    default_repository_type: 'public',
    default_tag_immutability: false,
  } as const;
  const namespace = { id: namespaceId, instance_id: repository.instanceId, name: 'slipway-base', ...kept };
  await db.insertInto('namespace').values(namespace).execute();
  await db
    .insertInto('repository')
    .values({
      ...{
        id: newId('crr'),
        namespace_id: namespaceId,
        name: 'library/debian',
        type: 'public',
        tag_immutability: false,
      },
      ...{ summary: '', description: '', is_auto_build: false, is_no_cache: false },
    })
    .execute();
  const ruleId = await seedBuildRule(db, repository.id, {
    ref: { type: 'branch', name: 'main' },
    imageTags: [{ template: 'latest' }],
    onBaseImageUpdate,
  });
  const registry = await scriptedRegistry();
  const client = registryClient(registry.url);
  const outside: string[] = [];
  let now = new Date('2026-11-21T03:00:00Z').getTime();
  const { readBaseImages } = createBaseImageActivities({
    db,
    registries: { client: async () => client },
    outsideRegistry: (url) => {
      outside.push(url);
      return client;
    },
    clock: () => new Date((now += 60_000)),
  });
  return {
    repository,
    ruleId,
    registry,
    /** Addresses of the registries asked outside. */
    outside,
    /** Puts an image for amd64 and arm64 there, with an attestation beside. */
    publish(mark: string) {
      const platforms = ['amd64', 'arm64'].map((architecture) => {
        const config = registry.addBlob(
          baseImagePath,
          Buffer.from(JSON.stringify({ architecture, os: 'linux', mark })),
        );
        const image = registry.addManifest(baseImagePath, {
          ...{ schemaVersion: 2, mediaType: 'application/vnd.oci.image.manifest.v1+json', layers: [] },
          config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
        });
        return { ...image, platform: { os: 'linux', architecture } };
      });
      const [first] = platforms;
      const attestation = {
        ...first,
        platform: { os: 'unknown', architecture: 'unknown' },
        annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
      };
      const index = {
        ...{ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json' },
        manifests: [...platforms, attestation],
        annotations: {
          'org.opencontainers.image.created': '2026-11-20T20:12:44Z',
          'org.opencontainers.image.description': 'Debian made by mmdebstrap',
        },
      };
      return registry.addManifest(baseImagePath, index, 'bookworm-slim').digest;
    },
    read: () => runActivity(readBaseImages, undefined),
    /** A successful build of the rule that was made from the image. */
    async built(
      digest: string,
      { from = baseImageTitle, at = new Date('2026-11-21T02:00:00Z'), ruleId: of = ruleId } = {},
    ) {
      const started = await insertAutomaticRun(db, {
        ...{ repositoryId: repository.id, ruleId: of, ref: 'main', commit: 'a'.repeat(40), cause: 'schedule' },
        ...{ since: at, timings: defaultTimings, queueLimit: 10, at },
      });
      const runId = 'runId' in started ? started.runId : '';
      await end(runId, 'success');
      const { id } = await db.selectFrom('build').select('id').where('run_id', '=', runId).executeTakeFirstOrThrow();
      await db.insertInto('build_base_image').values({ build_id: id, name: from, digest }).execute();
    },
    end,
  };
  async function end(runId: string, result: 'success' | 'failed') {
    await db
      .updateTable('run')
      .set({ status: 'complete', result, ended_at: new Date() })
      .where('id', '=', runId)
      .execute();
    await db.updateTable('build').set({ status: result, ended_at: new Date() }).where('run_id', '=', runId).execute();
  }
}
