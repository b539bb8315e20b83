import type { Dispatcher } from 'undici';
import { parseLogin } from '../../domain/login.ts';
import type { LoginAccess, LoginTokens } from './login-token.ts';
import { createRegistryClient, type RegistryClient, type RegistryHttpOptions } from './registry.ts';

/** What is asked for at a registry: `repository` is `namespace/name`, or a glob such as `namespace/*`. */
export type RegistryAccess = LoginAccess;

/** A login for programs that speak to a registry themselves. An empty user name means none is needed. */
export interface InstanceLogin {
  /** `host[:port]`. */
  readonly host: string;
  readonly username: string;
  readonly password: string;
  /** Plain http. */
  readonly isInsecure: boolean;
}

/** An instance as its table holds it. */
export interface RegistryInstance {
  readonly name: string;
  readonly kind: 'managed' | 'external';
  readonly registry_url: string;
  /** Secret with the login of an external registry, JSON `{username, password}`. */
  readonly credential_ref: string | null;
}

export interface RegistriesOptions {
  readonly findInstance: (idOrName: string) => Promise<RegistryInstance | undefined>;
  readonly loginTokens: Pick<LoginTokens, 'sign'>;
  readonly openSecret: (ref: string) => Promise<string>;
  /** Where the token service of managed instances answers: `SLIPWAY_TOKEN_URL`. */
  readonly tokenServer: string;
  /** The guarded way out. */
  readonly dispatcher: Dispatcher;
  /** Another one in tests only. */
  readonly createClient?: (options: RegistryHttpOptions) => RegistryClient;
}

/** The registries of all instances, by the instance's id or name (docs/product.md, section 2). */
export interface Registries {
  /** A client that may do what `access` says and no more. */
  client(instance: string, access: RegistryAccess): Promise<RegistryClient>;
  /** A login for `access`, for another program; of a managed instance it ends after `ttlSeconds`. */
  login(instance: string, access: RegistryAccess, ttlSeconds: number): Promise<InstanceLogin>;
}

/** An instance that was deleted while something still ran for it. */
class InstanceMissing extends Error {
  override readonly name = 'InstanceMissing';
}

/** Longer than the longest copy of an image. */
const clientTtlSeconds = 2 * 60 * 60;

export function createRegistries(options: RegistriesOptions): Registries {
  const {
    findInstance,
    loginTokens,
    openSecret,
    tokenServer,
    dispatcher,
    createClient = createRegistryClient,
  } = options;

  async function getInstance(idOrName: string): Promise<RegistryInstance> {
    const instance = await findInstance(idOrName);
    if (instance === undefined) throw new InstanceMissing(`The instance ${idOrName} does not exist any more.`);
    return instance;
  }

  /** Managed instances take a token of ours as the password; external ones what the administrator stored. */
  async function credentialsOf(instance: RegistryInstance, access: RegistryAccess, ttlSeconds: number) {
    if (instance.kind === 'managed') {
      const grant = { subject: 'slipway', access, instance: instance.name, ttlSeconds };
      return { username: 'slipway', password: await loginTokens.sign(grant) };
    }
    if (instance.credential_ref === null) return undefined;
    return parseLogin(await openSecret(instance.credential_ref));
  }

  return {
    async client(idOrName, access) {
      const instance = await getInstance(idOrName);
      const credentials = await credentialsOf(instance, access, clientTtlSeconds);
      const isManaged = instance.kind === 'managed';
      return createClient({
        endpoint: {
          url: instance.registry_url,
          isInsecure: isPlain(instance),
          ...(isManaged ? { tokenServer } : {}),
        },
        credentials,
        dispatcher,
      });
    },
    async login(idOrName, access, ttlSeconds) {
      const instance = await getInstance(idOrName);
      const credentials = await credentialsOf(instance, access, ttlSeconds);
      return {
        host: new URL(instance.registry_url).host,
        isInsecure: isPlain(instance),
        ...(credentials ?? { username: '', password: '' }),
      };
    },
  };
}

function isPlain(instance: RegistryInstance): boolean {
  return new URL(instance.registry_url).protocol === 'http:';
}
