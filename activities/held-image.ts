import type { Database } from '../db/database.ts';
import { deleteRuns, listExpiredRuns, listNeededDigests } from '../db/repositories/held-image.ts';
import type { ExpiredRun } from '../db/repositories/held-image.ts';
import { RegistryError } from '../domain/registry-error.ts';
import type { Registries } from './drivers/registries.ts';
import { partsUnder, readTags } from './image-parts.ts';
import type { Place } from './image-parts.ts';

interface HeldImageDeps {
  readonly db: Database;
  readonly registries: Pick<Registries, 'client'>;
}

/** What of a repository's manifests its tags need: those they point at and those beneath. */
interface Tagged {
  readonly place: Place;
  readonly digests: ReadonlySet<string>;
}

export interface RemovedRuns {
  readonly runs: number;
  /** Runs whose registry did not let go of their images; they are over the next time. */
  readonly heldRuns: number;
}

/**
 * Removes Records that are over, each after the images that nothing else names (docs/product.md, section 9: a held image stays by
 * digest as long as its Record). A registry that is away delays its own Records only.
 */
export async function removeRuns(
  deps: HeldImageDeps,
  { before, limit }: { before: Date; limit: number },
  signal: AbortSignal,
): Promise<RemovedRuns> {
  const held: string[] = [];
  let removed = 0;
  for (;;) {
    signal.throwIfAborted();
    const runs = await listExpiredRuns(deps.db, { before, limit, except: held });
    if (runs.length === 0) return { runs: removed, heldRuns: held.length };
    const bare = runs.filter(({ digests }) => digests.length === 0).map(({ runId }) => runId);
    await deleteRuns(deps.db, bare);
    const withImages = Map.groupBy(
      runs.filter(({ digests }) => digests.length > 0),
      ({ repositoryId }) => repositoryId,
    );
    const heldBefore = held.length;
    for (const [, those] of withImages) held.push(...(await removeHeld(deps, those, signal)));
    removed += runs.length - (held.length - heldBefore);
  }
}

/** Runs of one repository; answers those whose images could not be deleted. */
async function removeHeld(
  deps: HeldImageDeps,
  runs: readonly ExpiredRun[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const left = new Set(runs.map(({ runId }) => runId));
  try {
    const tagged = await readTagged(deps, runs, signal);
    for (const run of runs) {
      await deleteHeld(deps, run, tagged);
      await deleteRuns(deps.db, [run.runId]);
      left.delete(run.runId);
    }
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
  }
  return [...left];
}

async function readTagged(
  { registries }: HeldImageDeps,
  [run]: readonly ExpiredRun[],
  signal: AbortSignal,
): Promise<Tagged> {
  if (run === undefined) throw new Error('A repository without runs was asked for.');
  const { instance, path } = run;
  const client = await registries.client(instance, [{ repository: path, actions: ['pull', 'delete'] }]);
  const place = { client, path, signal };
  const tags = await readTags(place);
  return { place, digests: new Set([...tags.map(({ digest }) => digest), ...(await partsUnder(place, tags))]) };
}

/** What is gone already is fine: a lost attempt deletes again. */
async function deleteHeld(
  { db }: HeldImageDeps,
  { repositoryId, runId, digests }: ExpiredRun,
  { place: { client, path, signal }, digests: tagged }: Tagged,
): Promise<void> {
  const needed = await listNeededDigests(db, { repositoryId, runId, image: null, digests });
  for (const digest of digests)
    if (!tagged.has(digest) && !needed.has(digest)) await client.manifestDelete(path, digest, { signal });
}
