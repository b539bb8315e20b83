import { createPushActivities, type MoveTagsInput, type MovedTags } from '../../activities/push.ts';
import type { PlatformImage } from '../../domain/build.ts';
import type { Database } from '../../db/database.ts';
import { registryClient, scriptedRegistry } from './registry-client.ts';
import { runActivity } from './run-activity.ts';
import type { ScriptedRegistry } from './scripted-registry.ts';
import { seedBuild, type SeededBuild } from './seed-build.ts';

export const manifestType = 'application/vnd.oci.image.manifest.v1+json';
export const indexType = 'application/vnd.oci.image.index.v1+json';

interface Move {
  readonly orderNo: number;
  readonly tags?: readonly string[];
  readonly runId?: string;
}

/** A build's repository at a scripted registry, and the activities of push on it; for the length of one test. */
export interface PushWorld {
  readonly build: SeededBuild;
  /** `namespace/repository`. */
  readonly path: string;
  readonly registry: ScriptedRegistry;
  readonly activities: ReturnType<typeof createPushActivities>;
  /** Stores an image of its own bytes by digest; its config names the platform. */
  addImage(mark: string, platform?: { os: string; architecture: string; variant?: string }): PlatformImage;
  /** The registry's tags. */
  readonly tags: Map<string, string>;
  move(digest: string, move: Move): Promise<MovedTags>;
  pointer(tag: string): Promise<{ order_no: number; digest: string; run_id: string } | undefined>;
}

export async function newPushWorld(db: Database): Promise<PushWorld> {
  const build = await seedBuild(db);
  const path = `${build.repository.namespace}/${build.repository.name}`;
  const registry = await scriptedRegistry();
  const client = registryClient(registry.url);
  const activities = createPushActivities({
    db,
    registries: { client: async () => client },
    clock: () => new Date('2026-11-21T10:00:00.000Z'),
  });
  return {
    build,
    path,
    registry,
    activities,
    tags: registry.repository(path).tags,
    addImage(mark, platform = { os: 'linux', architecture: 'amd64' }) {
      const config = registry.addBlob(path, Buffer.from(JSON.stringify({ ...platform, mark })));
      const manifest = {
        schemaVersion: 2,
        mediaType: manifestType,
        config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
        layers: [],
      };
      const { digest, size } = registry.addManifest(path, manifest);
      return { platform: 'linux/amd64', digest, mediaType: manifestType, sizeBytes: size };
    },
    move(digest, { orderNo, tags = ['v1'], runId = `run-${orderNo}` }) {
      const input: MoveTagsInput = {
        runId,
        attempt: 1,
        repository: build.repository,
        orderNo,
        tags,
        digest,
        platforms: ['linux/amd64'],
      };
      return runActivity((each: MoveTagsInput) => activities.moveTags(each), input);
    },
    pointer: (tag) =>
      db
        .selectFrom('tag_pointer')
        .selectAll()
        .where('repository_id', '=', build.repository.id)
        .where('tag', '=', tag)
        .executeTakeFirst(),
  };
}
