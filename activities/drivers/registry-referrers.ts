import { z } from 'zod';
import { indexBuild } from '../../domain/image-index.ts';
import { descriptorSchema, manifestMediaTypes, type Descriptor } from '../../domain/image-manifest.ts';
import { repositoryAccess } from './registry-auth.ts';
import { isNotFound } from '../../domain/registry-error.ts';
import { brokenProtocol } from './registry-errors.ts';
import type { CallOptions, RegistryHttp } from './registry-http.ts';
import { listAll } from './registry-lists.ts';
import { manifestGet, manifestParse, manifestPut, type StoredManifest } from './registry-manifest.ts';

/** What points at a manifest: signatures, SBOMs, provenance. */
export interface Referrers {
  /** The manifests whose `subject` is `digest`, from the referrers API or from the fallback tag of registries without it. */
  list(target: { repository: string; digest: string }, options: ReferrersOptions): Promise<readonly Descriptor[]>;
  /** Lists a written manifest under its subject's fallback tag; for registries that do not do it themselves. */
  add(target: { repository: string; manifest: StoredManifest }, options: CallOptions): Promise<void>;
}

export interface ReferrersOptions extends CallOptions {
  readonly artifactType?: string;
}

const maxRewrites = 5;
const referrersSchema = z.looseObject({ manifests: z.array(descriptorSchema) });

export function createReferrers(http: RegistryHttp): Referrers {
  let hasApi: boolean | undefined;
  const turns = new Map<string, Promise<void>>();

  /** Until it is known whether the registry has the API, both places are asked at once. */
  async function all(
    target: { repository: string; digest: string },
    options: CallOptions,
  ): Promise<readonly Descriptor[]> {
    const [listed, tagged] = await Promise.all([
      hasApi === false ? undefined : byApi(http, target, options),
      hasApi === true ? undefined : byTag(http, target, options),
    ]);
    hasApi ??= listed !== undefined;
    return listed ?? tagged ?? [];
  }

  /** One writer at a time per tag of this process; other processes are met by reading again. */
  async function inTurn(key: string, work: () => Promise<void>): Promise<void> {
    const turn = (turns.get(key) ?? Promise.resolve()).then(work, work);
    turns.set(key, turn);
    try {
      await turn;
    } finally {
      if (turns.get(key) === turn) turns.delete(key);
    }
  }

  return {
    async list(target, { artifactType, ...options }) {
      const found = await all(target, options);
      return artifactType === undefined ? found : found.filter((each) => each.artifactType === artifactType);
    },
    async add({ repository, manifest }, options) {
      const entry = referrerEntry(manifest);
      if (entry === undefined) return;
      await inTurn(`${repository}@${entry.subject}`, () => addToTag(http, { repository, ...entry }, options));
    },
  };
}

/** The tag that lists referrers where there is no API, as the OCI specification names it. */
function fallbackTag(digest: string): string {
  return digest.replace(':', '-');
}

function byApi(
  http: RegistryHttp,
  { repository, digest }: { repository: string; digest: string },
  options: CallOptions,
): Promise<readonly Descriptor[] | undefined> {
  return listAll(http, {
    ...options,
    target: `/v2/${repository}/referrers/${digest}`,
    access: repositoryAccess(repository, ['pull']),
    absent: [400, 404, 405, 501],
    read: (body) => referrersSchema.parse(body).manifests,
  });
}

async function byTag(
  http: RegistryHttp,
  { repository, digest }: { repository: string; digest: string },
  options: CallOptions,
): Promise<readonly Descriptor[]> {
  try {
    return descriptorsOf(await manifestGet(http, { repository, reference: fallbackTag(digest) }, options));
  } catch (error) {
    if (isNotFound(error)) return [];
    throw error;
  }
}

function descriptorsOf(stored: StoredManifest): readonly Descriptor[] {
  const read = manifestParse(stored);
  return read.kind === 'index' ? read.manifests : [];
}

function referrerEntry(manifest: StoredManifest): { subject: string; descriptor: Descriptor } | undefined {
  const { mediaType, digest, bytes } = manifest;
  const read = manifestParse(manifest);
  if (read.subject === undefined) return undefined;
  const artifactType = read.artifactType ?? (read.kind === 'image' ? read.config.mediaType : undefined);
  const descriptor: Descriptor = {
    mediaType,
    digest,
    size: bytes.length,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(read.annotations === undefined ? {} : { annotations: read.annotations }),
  };
  return { subject: read.subject.digest, descriptor };
}

/** Read, add, write, read again: a registry has no compare-and-set, so a lost update is found and repeated. */
async function addToTag(
  http: RegistryHttp,
  { repository, subject, descriptor }: { repository: string; subject: string; descriptor: Descriptor },
  options: CallOptions,
): Promise<void> {
  for (let rewrite = 0; rewrite <= maxRewrites; rewrite += 1) {
    const listed = await byTag(http, { repository, digest: subject }, options);
    if (listed.some((each) => each.digest === descriptor.digest)) return;
    const bytes = indexBuild([...listed, descriptor]);
    await manifestPut(
      http,
      { repository, reference: fallbackTag(subject), mediaType: manifestMediaTypes.ociIndex, bytes },
      options,
    );
  }
  throw brokenProtocol(
    `${http.origin.host}/${repository} keeps losing the referrer ${descriptor.digest} under the tag ${fallbackTag(subject)}.`,
  );
}
