import { lookup } from 'node:dns/promises';
import type { Socket } from 'node:net';
import { callbackify } from 'node:util';
import { Agent, buildConnector, request, type Dispatcher } from 'undici';
import ipaddr from 'ipaddr.js';
import {
  bareHost,
  EgressRefused,
  egressRefusal,
  isAllowed,
  urlPort,
  type EgressAddress,
  type EgressPolicy,
} from '../../domain/egress.ts';

/** The one way out for requests of this process. Every connection is opened to an address that was just checked. */
export interface Egress {
  /** For SDKs and streaming; checks addresses, knows nothing of URL forms, redirects or sizes. */
  readonly dispatcher: Dispatcher;
  /** One bounded request; redirects come back as answers, never followed. */
  request(input: EgressRequest): Promise<EgressResponse>;
  close(): Promise<void>;
}

export interface EgressRequest {
  readonly method: Dispatcher.HttpMethod;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly signal: AbortSignal;
  /** From the first packet to the last byte read. */
  readonly timeoutMs: number;
  /** Reading stops here, the connection is closed, and `isTruncated` says so. */
  readonly maxBytes: number;
}

export interface EgressResponse {
  readonly status: number;
  /** Lower-case names; repeated ones joined by a comma. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly isTruncated: boolean;
}

export interface EgressOptions {
  readonly policy: EgressPolicy;
  readonly connectTimeoutMs?: number;
  /** Sockets per origin. */
  readonly connections?: number;
  /** Silence after which an answer counts as lost; the registry client's blobs live by it. */
  readonly idleTimeoutMs?: number;
  /** Certificates trusted besides the system's (PEM), for instances behind a private authority. */
  readonly ca?: string;
  /** Name resolution; another one in tests only. */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
}

const defaults = { connectTimeoutMs: 5_000, connections: 64, idleTimeoutMs: 60_000 };

/** The guard of docs/product.md, section 11 and 16: resolve, check every answer, connect to a checked one, look again. */
export function createEgress(options: EgressOptions): Egress {
  const { policy } = options;
  const idleTimeoutMs = options.idleTimeoutMs ?? defaults.idleTimeoutMs;
  const dispatcher = new Agent({
    connect: guardedConnector(options),
    connections: options.connections ?? defaults.connections,
    headersTimeout: idleTimeoutMs,
    bodyTimeout: idleTimeoutMs,
    // HTTP/2 would put every blob of a copy behind one window of one socket.
    allowH2: false,
  });
  return {
    dispatcher,
    request: (input) => boundedRequest(dispatcher, policy, input),
    close: () => dispatcher.destroy(),
  };
}

/** Opens plain connections, to addresses checked as every request's are; for a proxy that speaks for other programs. */
export function createEgressConnect(
  options: Pick<EgressOptions, 'policy' | 'connectTimeoutMs' | 'resolve'>,
): (target: { readonly host: string; readonly port: number }) => Promise<Socket> {
  const connect = guardedConnector(options);
  return ({ host, port }) =>
    new Promise((resolve, reject) => {
      connect({ protocol: 'http:', hostname: host, port: String(port) }, (error, socket) =>
        error === null ? resolve(socket) : reject(error),
      );
    });
}

async function boundedRequest(
  dispatcher: Dispatcher,
  policy: EgressPolicy,
  input: EgressRequest,
): Promise<EgressResponse> {
  const url = new URL(input.url);
  const refusal = egressRefusal(url, policy);
  if (refusal !== undefined) throw new EgressRefused(refusal);

  const signal = AbortSignal.any([input.signal, AbortSignal.timeout(input.timeoutMs)]);
  const answer = await request(url, {
    dispatcher,
    method: input.method,
    signal,
    ...(input.headers === undefined ? {} : { headers: input.headers }),
    ...(input.body === undefined ? {} : { body: input.body }),
  });
  const { body, isTruncated } = await readUpTo(answer.body, input.maxBytes);
  return { status: answer.statusCode, headers: plainHeaders(answer.headers), body, isTruncated };
}

/** At most `maxBytes` of a body; what follows is never received, and its connection is closed. */
export async function readUpTo(
  stream: AsyncIterable<Buffer>,
  maxBytes: number,
): Promise<{ body: Buffer; isTruncated: boolean }> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    const isPast = size + chunk.length > maxBytes;
    chunks.push(isPast ? chunk.subarray(0, maxBytes - size) : chunk);
    if (isPast) return { body: Buffer.concat(chunks), isTruncated: true };
    size += chunk.length;
  }
  return { body: Buffer.concat(chunks), isTruncated: false };
}

function plainHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  const plain: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) plain[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return plain;
}

function guardedConnector(options: EgressOptions): buildConnector.connector {
  const timeoutMs = options.connectTimeoutMs ?? defaults.connectTimeoutMs;
  const resolve = options.resolve ?? resolveAll;
  const connect = buildConnector({
    timeout: timeoutMs,
    allowH2: false,
    ...(options.ca === undefined ? {} : { ca: options.ca }),
  });

  async function open(target: buildConnector.Options): Promise<Socket> {
    const host = bareHost(target);
    const port = Number(target.port) || urlPort(new URL(`${target.protocol}//${target.hostname}`));
    const deadline = performance.now() + timeoutMs;
    const addresses = await checkedAddresses({
      host,
      port,
      policy: options.policy,
      resolve: () => withTimeout(resolve(host), timeoutMs, host),
    });
    return connectFirst(addresses, { target, connect, policy: options.policy, deadline });
  }

  const opened = callbackify(open);
  return (target, callback) =>
    opened(target, (error, socket) => (error === null ? callback(null, socket) : callback(error, null)));
}

async function resolveAll(host: string): Promise<readonly string[]> {
  const answers = await lookup(host, { all: true, order: 'verbatim' });
  return answers.map((answer) => answer.address);
}

interface Question {
  readonly host: string;
  readonly port: number;
  readonly policy: EgressPolicy;
  readonly resolve: () => Promise<readonly string[]>;
}

/** One refused answer refuses the name: a name that mixes public and private addresses is an attack or a mistake. */
async function checkedAddresses({ host, port, policy, resolve }: Question): Promise<readonly EgressAddress[]> {
  const ips = ipaddr.isValid(host) ? [host] : await resolve();
  if (ips.length === 0) throw new EgressRefused(`The name ${host} has no address.`);
  const addresses = ips.map((ip) => ({ host, ip, port }));
  const refused = addresses.find((address) => !isAllowed(address, policy));
  if (refused !== undefined) throw refusedAddress(refused);
  return addresses;
}

function refusedAddress({ host, ip, port }: EgressAddress): EgressRefused {
  const name = host === ip ? `${ip}, port ${port}` : `${host}, port ${port} (${ip})`;
  return new EgressRefused(
    `Requests may not leave to ${name}: it is not among the addresses the administrator allows.`,
  );
}

interface Attempt {
  readonly target: buildConnector.Options;
  readonly connect: buildConnector.connector;
  readonly policy: EgressPolicy;
  /** On the clock of `performance.now()`. */
  readonly deadline: number;
}

/** The first address that answers, in the order of the resolver, all within one connect timeout. */
async function connectFirst(addresses: readonly EgressAddress[], attempt: Attempt): Promise<Socket> {
  let failure: unknown;
  for (const address of addresses) {
    try {
      return await connectChecked(address, attempt);
    } catch (error) {
      failure = error;
      if (error instanceof EgressRefused || performance.now() >= attempt.deadline) break;
    }
  }
  throw failure;
}

function connectChecked(address: EgressAddress, { target, connect, policy }: Attempt): Promise<Socket> {
  return new Promise((resolve, reject) => {
    connect({ ...target, hostname: address.ip }, (error, socket) => {
      if (error !== null) return reject(error);
      const ip = socket.remoteAddress ?? '';
      if (isAllowed({ ...address, ip }, policy)) return resolve(socket);
      socket.destroy();
      return reject(refusedAddress({ ...address, ip }));
    });
  });
}

async function withTimeout<T>(work: Promise<T>, timeoutMs: number, host: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`The name ${host} was not resolved within ${timeoutMs} ms.`)), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
