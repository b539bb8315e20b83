import { createHash } from 'node:crypto';
import { finished } from 'node:stream/promises';
import { promisify } from 'node:util';
import { createGzip, gzip } from 'node:zlib';
import type { ZlibOptions } from 'node:zlib';
import { AppError } from '../domain/errors.ts';
import { limits } from '../domain/limits.ts';
import type { SignatureCheck } from './source-hosts/source-host.ts';

/** What is kept of a hook's body: packed, with the digest of the raw bytes. */
export interface HookBody {
  readonly gzipped: Buffer;
  readonly sha256: () => string;
}

/** Takes in bodies of hooks, at most eight over 1 MB at once. */
export interface HookBodies {
  /**
   * Feeds the raw bytes to `check` and packs them as they arrive; nothing is parsed, and no large body is ever held unpacked.
   * Throws 413 over 25 MB, 503 when too many large ones arrive at once, 408 when it takes more than 20 s.
   */
  read(request: Request, check: SignatureCheck): Promise<HookBody>;
}

const smallBodyBytes = 256 * 1024;
/** A window of 8 kB is enough for small bodies, and the default's memory costs more to set up than they do to pack. */
const smallGzip = { level: 1, windowBits: 13, memLevel: 5 };
const gzipWhole = promisify<Uint8Array, ZlibOptions, Buffer>(gzip);

export function createHookBodies({ timeLimitMs = limits.hookBodyMs }: { timeLimitMs?: number } = {}): HookBodies {
  let largeBodies = 0;
  return {
    async read(request, check) {
      const declared = Number(request.headers.get('content-length') ?? 0);
      if (declared > limits.hookBodyBytes) throw hookTooLarge();
      let isLarge = false;
      const admit = (sizeBytes: number) => {
        if (isLarge || sizeBytes <= limits.hookLargeBodyBytes) return;
        if (largeBodies >= limits.hookLargeBodies) throw tooBusy();
        isLarge = true;
        largeBodies += 1;
      };
      try {
        admit(declared);
        const isSmall = declared > 0 && declared <= smallBodyBytes;
        return await (isSmall ? takeInWhole : takeIn)(request, { check, admit, timeLimitMs });
      } finally {
        if (isLarge) largeBodies -= 1;
      }
    },
  };
}

/** A small body with a declared length, which the HTTP server holds the sender to: read in one piece, packed beside the event loop. */
async function takeInWhole(
  request: Request,
  { check, timeLimitMs }: { check: SignatureCheck; timeLimitMs: number },
): Promise<HookBody> {
  const body = new Uint8Array(await inTime(arrived(request.arrayBuffer()), timeLimitMs));
  check.update(body);
  return {
    gzipped: await gzipWhole(body, smallGzip),
    sha256: () => createHash('sha256').update(body).digest('hex'),
  };
}

/** Waits no longer: a sender that dribbles must not keep a place for ever. */
async function inTime<Result>(work: Promise<Result>, timeLimitMs: number): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(tooSlow(timeLimitMs)), timeLimitMs);
  });
  // Nobody waits for it any more when the sender goes away after it was too late.
  work.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function takeIn(
  request: Request,
  { check, admit, timeLimitMs }: { check: SignatureCheck; admit: (sizeBytes: number) => void; timeLimitMs: number },
): Promise<HookBody> {
  const digest = createHash('sha256');
  const gzip = createGzip({ level: 1 });
  const packed: Buffer[] = [];
  gzip.on('data', (chunk: Buffer) => packed.push(chunk));
  let sizeBytes = 0;
  for await (const chunk of chunksWithin(request.body, timeLimitMs)) {
    sizeBytes += chunk.length;
    if (sizeBytes > limits.hookBodyBytes) throw hookTooLarge();
    admit(sizeBytes);
    check.update(chunk);
    digest.update(chunk);
    gzip.write(chunk);
  }
  gzip.end();
  await finished(gzip);
  return { gzipped: Buffer.concat(packed), sha256: () => digest.digest('hex') };
}

/** The chunks of a body, all of them within `timeLimitMs`: a sender that dribbles must not keep a place for ever. */
async function* chunksWithin(body: ReadableStream<Uint8Array> | null, timeLimitMs: number): AsyncGenerator<Uint8Array> {
  if (body === null) return;
  const reader = body.getReader();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(tooSlow(timeLimitMs)), timeLimitMs);
  });
  // When the body ends in time nobody waits for `late` any more.
  late.catch(() => undefined);
  try {
    for (;;) {
      const { done, value } = await Promise.race([arrived(reader.read()), late]);
      if (done) return;
      yield value;
    }
  } finally {
    clearTimeout(timer);
    void reader.cancel().catch(() => undefined);
  }
}

/** A connection that breaks in mid-body is the sender's affair, not a failure of ours. */
async function arrived<Part>(reading: Promise<Part>): Promise<Part> {
  try {
    return await reading;
  } catch (cause) {
    throw new AppError(
      400,
      'request.unreadable',
      'The connection ended before the whole body had arrived, so nothing was accepted. Deliver it again.',
      { cause },
    );
  }
}

function hookTooLarge(): AppError {
  return new AppError(
    413,
    'request.too_large',
    `The delivery is larger than ${limits.hookBodyBytes / 1024 / 1024} MB, the most a hook may carry. Push fewer commits at once.`,
  );
}

function tooBusy(): AppError {
  return new AppError(
    503,
    'source.hook_busy',
    'Too many large deliveries are arriving at once, so this one was not taken in. Deliver it again in a few seconds.',
    { extra: { retryAfterSeconds: 5 } },
  );
}

function tooSlow(timeLimitMs: number): AppError {
  return new AppError(
    408,
    'request.timeout',
    `The body did not arrive within ${timeLimitMs / 1000} s, so nothing was accepted. Deliver it again.`,
  );
}
