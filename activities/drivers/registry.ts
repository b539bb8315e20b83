import type { Descriptor } from '../../domain/image-manifest.ts';
import { repositoryAccess } from './registry-auth.ts';
import { blobGet, type BlobIdentity, type BlobRange } from './registry-blob.ts';
import { createRegistryHttp, type CallOptions, type RegistryHttpOptions } from './registry-http.ts';
import { repositoryHead, repositoryList, tagList } from './registry-lists.ts';
import {
  manifestDelete,
  manifestGet,
  manifestHead,
  manifestPut,
  type ManifestHead,
  type StoredManifest,
} from './registry-manifest.ts';
import { createReferrers, type ReferrersOptions } from './registry-referrers.ts';
import { blobMount, blobUpload, type BlobUpload } from './registry-upload.ts';

export type { RegistryCredentials } from './registry-auth.ts';
export type { CallOptions, RegistryEndpoint, RegistryHttpOptions, RegistryLimits } from './registry-http.ts';
export type { ManifestHead, StoredManifest } from './registry-manifest.ts';

/**
 * One OCI registry under one credential (docs/product.md, section 10). Every method throws `RegistryError`, or the reason
 * of `signal` when the caller gave up; small requests are tried again on 429, 5xx and lost connections. `reference` is a
 * tag or a digest; digests are checked against the bytes that came.
 */
export interface RegistryClient {
  /** `host[:port]`, as image references begin. */
  readonly host: string;
  /** The registry answers and takes our credentials. */
  ping(options: CallOptions): Promise<void>;
  /**
   * Whether the registry knows the repository: false where nothing was ever tagged. Asked under a token for `actions`, which
   * the requests after it share.
   */
  repositoryHead(
    repository: string,
    options: CallOptions & { readonly actions: readonly ('pull' | 'push')[] },
  ): Promise<boolean>;
  manifestGet(repository: string, reference: string, options: CallOptions): Promise<StoredManifest>;
  manifestHead(repository: string, reference: string, options: CallOptions): Promise<ManifestHead | undefined>;
  /** Writes the bytes as they are and resolves to their digest; a `subject` is made known to the referrers list. */
  manifestPut(
    repository: string,
    reference: string,
    manifest: CallOptions & { readonly mediaType: string; readonly bytes: Uint8Array },
  ): Promise<string>;
  /** Deletes by digest, with all tags on it. What is already gone is fine. */
  manifestDelete(repository: string, digest: string, options: CallOptions): Promise<void>;
  blobHead(repository: string, digest: string, options: CallOptions): Promise<{ readonly size: number } | undefined>;
  /** The blob's bytes, going on by `Range` where a connection broke. */
  blobGet(repository: string, blob: BlobIdentity, options: BlobRange): Promise<AsyncIterable<Uint8Array>>;
  /** Stores bytes held in memory, unless the repository has them already. */
  blobPut(repository: string, bytes: Uint8Array, options: CallOptions & { readonly digest: string }): Promise<void>;
  blobUpload(upload: BlobUpload): Promise<'mounted' | 'uploaded'>;
  /** Links a blob of another repository of this registry; false when that is not to be had. */
  blobMount(repository: string, blob: BlobIdentity, options: CallOptions & { readonly from: string }): Promise<boolean>;
  tagList(repository: string, options: CallOptions): Promise<readonly string[]>;
  /** Takes the tag away and leaves the manifest; registries that cannot do it answer with an error. */
  tagDelete(repository: string, tag: string, options: CallOptions): Promise<void>;
  referrers(repository: string, digest: string, options: ReferrersOptions): Promise<readonly Descriptor[]>;
  repositoryList(options: CallOptions): Promise<readonly string[]>;
}

export function createRegistryClient(options: RegistryHttpOptions): RegistryClient {
  const http = createRegistryHttp(options);
  const referrers = createReferrers(http);

  async function blobHead(
    repository: string,
    digest: string,
    call: CallOptions,
  ): Promise<{ size: number } | undefined> {
    const answer = await http.read({
      ...call,
      method: 'HEAD',
      target: `/v2/${repository}/blobs/${digest}`,
      access: repositoryAccess(repository, ['pull']),
      expect: [200, 404],
      isRedirectFollowed: true,
    });
    return answer.status === 404 ? undefined : { size: Number(answer.headers['content-length'] ?? Number.NaN) };
  }

  return {
    host: http.origin.host,
    async ping(call) {
      await http.read({ ...call, method: 'GET', target: '/v2/', access: [], expect: [200] });
    },
    repositoryHead: (repository, { actions, ...call }) => repositoryHead(http, repository, { actions, ...call }),
    manifestGet: (repository, reference, call) => manifestGet(http, { repository, reference }, call),
    manifestHead: (repository, reference, call) => manifestHead(http, { repository, reference }, call),
    async manifestPut(repository, reference, { mediaType, bytes, ...call }) {
      const { digest, isSubjectKnown } = await manifestPut(http, { repository, reference, mediaType, bytes }, call);
      if (!isSubjectKnown) await referrers.add({ repository, manifest: { mediaType, digest, bytes } }, call);
      return digest;
    },
    manifestDelete: (repository, digest, call) => manifestDelete(http, { repository, reference: digest }, call),
    blobHead,
    blobGet: (repository, blob, range) => blobGet(http, { repository, ...blob }, range),
    async blobPut(repository, bytes, { digest, ...call }) {
      if ((await blobHead(repository, digest, call)) !== undefined) return;
      // oxlint-disable-next-line require-await -- the upload reads streams, these bytes are here
      const open = async (offset: number) => oneChunk(bytes.subarray(offset));
      await blobUpload(http, { repository, digest, size: bytes.length, open, ...call });
    },
    blobUpload: (upload) => blobUpload(http, upload),
    blobMount: (repository, blob, { from, ...call }) =>
      blobMount(http, { repository, ...blob, mountFrom: [from], ...call }),
    tagList: (repository, call) => tagList(http, repository, call),
    tagDelete: (repository, tag, call) => manifestDelete(http, { repository, reference: tag }, call),
    referrers: (repository, digest, call) => referrers.list({ repository, digest }, call),
    repositoryList: (call) => repositoryList(http, call),
  };
}

async function* oneChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
