import { Readable } from 'node:stream';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import type { ListObjectsV2CommandOutput } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';

/** Buffered per part of a stream; an upload holds two of them. */
const partBytes = 8 * 1024 * 1024;
const connectTimeoutMs = 5_000;
/** Silence on an open request. */
const idleTimeoutMs = 30_000;
const attempts = 3;

export interface ObjectStoreOptions {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface ObjectPut {
  readonly contentType: string;
  readonly signal: AbortSignal;
}

export interface ObjectGet {
  readonly signal: AbortSignal;
  /** First and last byte, both included. */
  readonly range?: readonly [number, number];
}

export interface StoredObject {
  readonly key: string;
  readonly modifiedAt: Date;
}

/** There is no object of this key. */
export class ObjectMissing extends Error {
  override readonly name = 'ObjectMissing';
}

/** One bucket of an S3 server: logs, reports and sources. Every call is bounded in time and throws the signal's reason on abort. */
export interface ObjectStore {
  /** Replaces what is there. A stream goes up in parts and appears whole or not at all. */
  objectPut(key: string, body: Uint8Array | Readable, options: ObjectPut): Promise<void>;
  /** @throws ObjectMissing */
  objectGet(key: string, options: ObjectGet): Promise<Readable>;
  /** @throws ObjectMissing */
  objectGetBytes(key: string, options: ObjectGet): Promise<Uint8Array>;
  objectHead(
    key: string,
    options: { readonly signal: AbortSignal },
  ): Promise<{ readonly sizeBytes: number; readonly modifiedAt: Date } | undefined>;
  /** Every object whose key begins with `prefix`, in pages of the server's. */
  objectList(prefix: string, options: { readonly signal: AbortSignal }): AsyncIterable<StoredObject>;
  /** What is already gone is fine. */
  objectDelete(key: string, options: { readonly signal: AbortSignal }): Promise<void>;
  /** Makes the bucket unless it is there. */
  bucketEnsure(options: { readonly signal: AbortSignal }): Promise<void>;
  close(): void;
}

/** Addresses the bucket by path, as servers without wildcard DNS need it. */
export function createObjectStore(options: ObjectStoreOptions): ObjectStore {
  const { bucket: Bucket, accessKeyId, secretAccessKey } = options;
  const client = new S3Client({
    endpoint: options.endpoint,
    region: options.region,
    credentials: { accessKeyId, secretAccessKey },
    forcePathStyle: true,
    maxAttempts: attempts,
    requestHandler: {
      connectionTimeout: connectTimeoutMs,
      requestTimeout: idleTimeoutMs,
      throwOnRequestTimeout: true,
    },
    // Servers other than AWS know the old checksums only.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });

  async function get(Key: string, { signal, range }: ObjectGet): Promise<Readable> {
    const Range = range === undefined ? {} : { Range: `bytes=${range[0]}-${range[1]}` };
    const command = new GetObjectCommand({ Bucket, Key, ...Range });
    const { Body } = await bounded(signal, () => client.send(command, { abortSignal: signal })).catch(
      (error: unknown) => {
        throw isMissing(error) ? new ObjectMissing(`There is no object ${Key}.`, { cause: error }) : error;
      },
    );
    if (!(Body instanceof Readable)) throw new ObjectMissing(`The object ${Key} has no content.`);
    return Body;
  }

  return {
    async objectPut(Key, Body, { contentType: ContentType, signal }) {
      if (Body instanceof Readable) {
        await putStream(client, { Bucket, Key, Body, ContentType }, signal);
        return;
      }
      const command = new PutObjectCommand({ Bucket, Key, Body, ContentType });
      await bounded(signal, () => client.send(command, { abortSignal: signal }));
    },
    objectGet: get,
    async objectGetBytes(key, options) {
      const chunks: Buffer[] = [];
      for await (const chunk of await get(key, options)) chunks.push(Buffer.from(chunk));
      return Buffer.concat(chunks);
    },
    async objectHead(Key, { signal }) {
      try {
        const command = new HeadObjectCommand({ Bucket, Key });
        const head = await bounded(signal, () => client.send(command, { abortSignal: signal }));
        return { sizeBytes: head.ContentLength ?? 0, modifiedAt: head.LastModified ?? new Date(0) };
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    },
    async *objectList(Prefix, { signal }) {
      let after: string | undefined;
      do {
        const page: ListObjectsV2CommandOutput = await bounded(signal, () =>
          client.send(new ListObjectsV2Command({ Bucket, Prefix, ContinuationToken: after }), { abortSignal: signal }),
        );
        for (const { Key, LastModified } of page.Contents ?? []) {
          if (Key !== undefined) yield { key: Key, modifiedAt: LastModified ?? new Date(0) };
        }
        after = page.NextContinuationToken;
      } while (after !== undefined);
    },
    async objectDelete(Key, { signal }) {
      const command = new DeleteObjectCommand({ Bucket, Key });
      await bounded(signal, () => client.send(command, { abortSignal: signal }));
    },
    async bucketEnsure({ signal }) {
      try {
        await bounded(signal, () => client.send(new HeadBucketCommand({ Bucket }), { abortSignal: signal }));
      } catch (error) {
        if (!isMissing(error)) throw error;
        await bounded(signal, () => client.send(new CreateBucketCommand({ Bucket }), { abortSignal: signal }));
      }
    },
    close: () => client.destroy(),
  };
}

async function putStream(
  client: S3Client,
  params: { Bucket: string; Key: string; Body: Readable; ContentType: string },
  signal: AbortSignal,
): Promise<void> {
  const upload = new Upload({ client, params, partSize: partBytes, queueSize: 2, leavePartsOnError: false });
  const onAbort = (): void => void upload.abort();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await bounded(signal, () => upload.done());
  } finally {
    signal.removeEventListener('abort', onAbort);
    params.Body.destroy();
  }
}

/** The SDK throws an error of its own when it is aborted; the caller's reason says more. */
async function bounded<Result>(signal: AbortSignal, call: () => Promise<Result>): Promise<Result> {
  signal.throwIfAborted();
  try {
    return await call();
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof S3ServiceException && error.$metadata.httpStatusCode === 404;
}
