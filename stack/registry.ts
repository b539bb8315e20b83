import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Part } from './supervisor.ts';
import { answersHttp } from './wait.ts';

/** A managed instance of the stack: a registry that trusts the tokens of Slipway's token service and nothing else. */
export interface RegistryOptions {
  /** The instance's name, which is also the `service` of its tokens. */
  readonly name: string;
  readonly binary: string;
  readonly folder: string;
  readonly port: number;
  /** Address of the token service. */
  readonly realm: string;
  readonly jwksFile: string;
  readonly httpSecret: string;
}

/** distribution as a part of the stack. */
export function registryPart(options: RegistryOptions): Part {
  const configFile = join(options.folder, 'config.yml');
  return {
    name: options.name,
    program: {
      command: options.binary,
      args: ['serve', configFile],
      // Without it the registry sends traces to localhost:4318.
      env: { OTEL_TRACES_EXPORTER: 'none' },
    },
    prepare: async () => {
      await mkdir(join(options.folder, 'data'), { recursive: true });
      await writeFile(configFile, stringify(configuration(options)), { mode: 0o600 });
    },
    isReady: () => answersHttp(`http://127.0.0.1:${options.port}/`),
    readyWithinMs: 20_000,
    stopWithinMs: 5_000,
  };
}

function configuration({ name, folder, port, realm, jwksFile, httpSecret }: RegistryOptions): object {
  return {
    version: 0.1,
    log: { level: 'warn', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(folder, 'data') }, delete: { enabled: true } },
    http: { addr: `127.0.0.1:${port}`, secret: httpSecret, relativeurls: true },
    auth: { token: { realm, service: name, issuer: 'slipway', jwks: jwksFile, signingalgorithms: ['ES256'] } },
  };
}
