import type { Logger } from 'pino';
import type { Git } from '../activities/drivers/git.ts';
import type { LoginAccess, LoginTokens } from '../activities/drivers/login-token.ts';
import type { RegistryClient } from '../activities/drivers/registry.ts';
import type { ObjectStore } from '../activities/drivers/object-store.ts';
import type { RegistryTokens } from '../activities/drivers/registry-token.ts';
import type { SecretBox } from '../activities/drivers/secret-box.ts';
import type { GithubApps } from '../activities/drivers/github-app.ts';
import type { SourceHosts } from '../activities/drivers/source-host.ts';
import type { SourceLogins } from '../activities/drivers/source-logins.ts';
import type { SourceOauth } from '../activities/drivers/source-oauth.ts';
import type { Database } from '../db/database.ts';
import type { Listener } from '../db/listener.ts';
import type { Config } from '../domain/config.ts';
import type { EgressPolicy } from '../domain/egress.ts';
import type { SourceApps } from '../domain/source-apps.ts';
import type { Engine } from './engine.ts';
import type { Cursors } from './page.ts';
import type { Readiness } from './routes/system.ts';
import type { RunStarter } from './start-run.ts';

/** The time of day; passed in, so that tests set it. */
export type Clock = () => Date;

/** Everything the HTTP API is made of, wired in `api/server.ts` and in tests. A route file takes a `Pick` of it. */
export interface ApiDeps {
  readonly db: Database;
  readonly config: Config;
  readonly log: Logger;
  readonly clock: Clock;
  readonly cursors: Cursors;
  /** SHA-256 of the administrator's bearer token. */
  readonly adminTokenHash: Buffer;
  readonly secretBox: SecretBox;
  readonly loginTokens: LoginTokens;
  readonly registryTokens: RegistryTokens;
  readonly egressPolicy: EgressPolicy;
  /** Every address of a host name; throws when it has none. */
  readonly resolveHost: (host: string) => Promise<readonly string[]>;
  readonly git: Pick<Git, 'refResolve' | 'refsList' | 'treeList' | 'cloneTest'>;
  readonly sourceHosts: SourceHosts;
  readonly sourceLogins: SourceLogins;
  readonly sourceOauth: Pick<SourceOauth, 'authorizationUrl' | 'codeExchange'>;
  readonly githubApps: Pick<GithubApps, 'installationUrl' | 'installationIsOf'>;
  /** What the administrator registered with source hosts. */
  readonly sourceApps: SourceApps;
  readonly registries: InstanceRegistries;
  readonly engine: Engine;
  readonly starter: Pick<RunStarter, 'start'>;
  readonly listener: Pick<Listener, 'on'>;
  /** Logs, reports and SBOMs. */
  readonly objectStore: Pick<ObjectStore, 'objectGet' | 'objectGetBytes'>;
  readonly readiness: Readiness;
  /** Aborted when the process begins to stop: streams say `bye` and end. */
  readonly stopping: AbortSignal;
}

/** Clients of the instances' registries, each logged in for no more than the access asked for. */
export interface InstanceRegistries {
  /** `instance` is an id or a name. */
  client(instance: string, access: LoginAccess): Promise<RegistryClient>;
}
