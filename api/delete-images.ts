import { RegistryError } from '../domain/registry-error.ts';
import { AppError } from '../domain/errors.ts';
import { isIndexMediaType, parseManifest } from '../domain/image-manifest.ts';
import type { DoomedRepository } from '../db/repositories/repository.ts';
import type { RegistryClient } from '../activities/drivers/registry.ts';
import type { ApiDeps } from './deps.ts';

const deleteMs = 25_000;

/**
 * Deletes every image of repositories from the registry, before their rows go: what fails half-way can be asked for again.
 * Throws 502 `instance.not_reachable` when the registry does not do it.
 */
export async function deleteImages(
  { registries }: Pick<ApiDeps, 'registries'>,
  repositories: readonly DoomedRepository[],
): Promise<void> {
  const signal = AbortSignal.timeout(deleteMs);
  for (const repository of repositories) {
    const { instance, path } = repository;
    try {
      const client = await registries.client(instance, [{ repository: path, actions: ['pull', 'delete'] }]);
      await deleteAll(client, repository, signal);
    } catch (error) {
      throw new AppError(
        502,
        'instance.not_reachable',
        `The registry of the instance "${instance}" did not delete the images of "${path}", so nothing else was deleted. Check the instance and try again.`,
        { cause: error },
      );
    }
  }
}

async function deleteAll(
  client: RegistryClient,
  { path, digests }: DoomedRepository,
  signal: AbortSignal,
): Promise<void> {
  const tagged: string[] = [];
  const parts: string[] = [];
  for (const tag of await tagsOf(client, path, signal)) {
    const head = await client.manifestHead(path, tag, { signal });
    if (head === undefined) continue;
    tagged.push(head.digest);
    if (isIndexMediaType(head.mediaType)) parts.push(...(await partsOf(client, { path, tag, signal })));
  }
  // Some registries keep what an index names.
  for (const digest of new Set([...tagged, ...digests, ...parts]))
    await client.manifestDelete(path, digest, { signal });
}

/** The images of an index: they could be pulled by digest from a repository made anew under this name. */
async function partsOf(
  client: RegistryClient,
  { path, tag, signal }: { path: string; tag: string; signal: AbortSignal },
): Promise<readonly string[]> {
  const manifest = parseManifest(await client.manifestGet(path, tag, { signal }));
  return manifest.kind === 'index' ? manifest.manifests.map(({ digest }) => digest) : [];
}

/** A repository nothing was ever pushed to is unknown to its registry. */
async function tagsOf(client: RegistryClient, path: string, signal: AbortSignal): Promise<readonly string[]> {
  try {
    return await client.tagList(path, { signal });
  } catch (error) {
    if (error instanceof RegistryError && error.status === 404) return [];
    throw error;
  }
}
