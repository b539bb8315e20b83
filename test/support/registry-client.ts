import { onTestFinished } from 'vitest';
import { createEgress } from '../../activities/drivers/egress.ts';
import {
  createRegistryClient,
  type RegistryClient,
  type RegistryCredentials,
  type RegistryEndpoint,
  type RegistryLimits,
} from '../../activities/drivers/registry.ts';
import { RegistryError } from '../../domain/registry-error.ts';
import { startScriptedRegistry, type ScriptedRegistry, type ScriptedRegistryOptions } from './scripted-registry.ts';

export interface TestClientOptions {
  readonly credentials?: RegistryCredentials;
  readonly endpoint?: Partial<RegistryEndpoint>;
  readonly limits?: Partial<RegistryLimits>;
}

/** Four quick tries where the product waits seconds. */
const quick: Partial<RegistryLimits> = {
  requestTimeoutMs: 5_000,
  idleTimeoutMs: 5_000,
  retry: { attempts: 4, baseMs: 1, maxMs: 5, longestWaitMs: 100 },
};

/** A client that may reach loopback, for the length of the test. */
export function registryClient(url: string, { credentials, endpoint, limits }: TestClientOptions = {}): RegistryClient {
  const egress = createEgress({ policy: { allow: ['loopback'], denied: [], ports: 'any', isHttpAllowed: true } });
  onTestFinished(() => egress.close());
  return createRegistryClient({
    endpoint: { url, isInsecure: true, ...endpoint },
    dispatcher: egress.dispatcher,
    limits: { ...quick, ...limits },
    ...(credentials === undefined ? {} : { credentials }),
  });
}

/** A scripted registry for the length of the test. */
export async function scriptedRegistry(options?: ScriptedRegistryOptions): Promise<ScriptedRegistry> {
  const registry = await startScriptedRegistry(options);
  onTestFinished(() => registry.close());
  return registry;
}

/** The RegistryError `work` ends with; anything else fails the test. */
export async function failureOf(work: Promise<unknown>): Promise<RegistryError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof RegistryError) return error;
  throw new Error('expected a RegistryError', { cause: error });
}
