import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import type { SourceHost } from '../../../domain/source.ts';

export type ApiHost = Exclude<SourceHost, 'git'>;

/** What came in. */
export interface HostRequest {
  readonly method: string;
  /** Decoded, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface HostAnswer {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A webhook as the host keeps it: its id and the whole body it was made with. */
export interface HostHook {
  readonly id: string;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface SaidStatus {
  readonly commit: string;
  readonly state: string;
  readonly context: string;
  readonly description: string;
  readonly url: string;
}

/** One host as a test sees and sets it. */
export interface HostState {
  /** What the host takes; anything else is answered 401. */
  token: string;
  /** Rights of the token. */
  mayHook: boolean;
  maySetStatus: boolean;
  readonly hooks: HostHook[];
  readonly statuses: SaidStatus[];
  readonly requests: HostRequest[];
  /** Answers everything, as an outage or an attack would. */
  fault: HostAnswer | null;
  /** OAuth: what the registered application is, and the grants that live. */
  readonly app: { readonly clientId: string; readonly clientSecret: string };
  /** Codes of consent pages with what the page was asked. */
  readonly codes: Map<string, URLSearchParams>;
  readonly refreshTokens: Set<string>;
  /** GitHub: installations the person may see. */
  readonly installations: number[];
  tokenSeconds: number | undefined;
}

/** The answers of one host's API; undefined is its 404. */
export type HostScript = (request: HostRequest, state: HostState) => HostAnswer | undefined;

const object = z.record(z.string(), z.unknown());

/** A request's JSON body. */
export function jsonOf({ body }: HostRequest): Readonly<Record<string, unknown>> {
  return object.parse(JSON.parse(body));
}

/** A text of a body by its path, empty where there is none. */
export function textOf(body: unknown, path: string): string {
  const value = path.split('.').reduce<unknown>((inner, name) => object.safeParse(inner).data?.[name], body);
  return typeof value === 'string' ? value : '';
}
