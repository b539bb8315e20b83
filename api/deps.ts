import type { Logger } from 'pino';
import type { Egress } from '../activities/drivers/egress.ts';
import type { LoginTokens } from '../activities/drivers/login-token.ts';
import type { RegistryTokens } from '../activities/drivers/registry-token.ts';
import type { SecretBox } from '../activities/drivers/secret-box.ts';
import type { Database } from '../db/database.ts';
import type { Config } from '../domain/config.ts';
import type { EgressPolicy } from '../domain/egress.ts';
import type { Engine } from './engine.ts';
import type { Readiness } from './routes/system.ts';

/** The time of day; passed in, so that tests set it. */
export type Clock = () => Date;

/** Everything the HTTP API is made of, wired in `api/server.ts` and in tests. A route file takes a `Pick` of it. */
export interface ApiDeps {
  readonly db: Database;
  readonly config: Config;
  readonly log: Logger;
  readonly clock: Clock;
  /** SHA-256 of the administrator's bearer token. */
  readonly adminTokenHash: Buffer;
  readonly secretBox: SecretBox;
  readonly loginTokens: LoginTokens;
  readonly registryTokens: RegistryTokens;
  readonly egress: Egress;
  readonly egressPolicy: EgressPolicy;
  /** Every address of a host name; throws when it has none. */
  readonly resolveHost: (host: string) => Promise<readonly string[]>;
  readonly git: SourceGit;
  readonly engine: Engine;
  readonly readiness: Readiness;
}

/** What saving a source binding needs of git: whether the refs of the code repository can be listed. */
export interface SourceGit {
  lsRemote(url: string, options: SourceGitOptions): Promise<unknown>;
}

export interface SourceGitOptions {
  readonly credential: { readonly username: string; readonly password: string } | null;
  readonly signal: AbortSignal;
}
