import { join } from 'node:path';
import type { Program } from './child.ts';
import { type CommandEnd, tryCommand } from './command.ts';

/** The one namespace of the embedded stack. */
export const temporalNamespace = 'slipway';

/** Server settings that Slipway counts on, here and in production (docker-compose.yml has them too). */
const dynamicConfig = {
  'frontend.enableServerVersionCheck': 'false',
  'limit.maxIDLength': '255',
  'matching.useNewMatcher': 'true',
  'matching.enableFairness': 'true',
  // One line per queue: with more, order and fair shares would hold within each part only.
  'matching.numTaskqueueReadPartitions': '1',
  'matching.numTaskqueueWritePartitions': '1',
} as const;

const RETENTION = '168h';

export interface TemporalPorts {
  readonly temporal: number;
  readonly temporalHttp: number;
  readonly temporalMetrics: number;
  /** undefined: no web interface. */
  readonly temporalUi?: number;
}

/** A search attribute to register; `type` as the SDK spells it, `KEYWORD`. */
export interface SearchAttribute {
  readonly name: string;
  readonly type: string;
}

/** Temporal's development server on a database file. `isDurable` false trades safety for speed: tests only. */
export function temporalServer({
  binary,
  ports,
  databaseFile,
  isDurable,
  namespaces = [temporalNamespace],
}: {
  readonly binary: string;
  readonly ports: TemporalPorts;
  readonly databaseFile: string;
  readonly isDurable: boolean;
  readonly namespaces?: readonly string[];
}): Program {
  return {
    command: binary,
    args: [
      ...['server', 'start-dev', '--ip', '127.0.0.1'],
      ...namespaces.flatMap((namespace) => ['--namespace', namespace]),
      ...['--port', `${ports.temporal}`, '--http-port', `${ports.temporalHttp}`],
      ...['--metrics-port', `${ports.temporalMetrics}`],
      ...(ports.temporalUi === undefined
        ? ['--headless']
        : ['--ui-port', `${ports.temporalUi}`, '--ui-disable-news-fetch']),
      ...['--db-filename', databaseFile, '--sqlite-pragma', 'journal_mode=WAL'],
      ...(isDurable ? [] : ['--sqlite-pragma', 'synchronous=OFF']),
      ...Object.entries(dynamicConfig).flatMap(([key, value]) => ['--dynamic-config-value', `${key}=${value}`]),
      ...['--log-level', 'warn', '--disable-config-file', '--disable-config-env'],
    ],
  };
}

/** Whether the server takes calls. */
export async function isTemporalServing(binary: string, port: number): Promise<boolean> {
  const health = await temporal(binary, port, ['operator', 'cluster', 'health']);
  if (!health.stdout.includes('SERVING')) return false;
  const namespace = await temporal(binary, port, ['operator', 'namespace', 'describe', '-n', temporalNamespace]);
  return namespace.isOk;
}

/** Keeps closed runs for a week instead of a day, and makes sure of the search attributes; both may be done again. */
export async function settleTemporal(
  binary: string,
  {
    port,
    searchAttributes,
    namespace = temporalNamespace,
  }: {
    readonly port: number;
    readonly searchAttributes: readonly SearchAttribute[];
    readonly namespace?: string;
  },
): Promise<void> {
  await temporal(binary, port, ['operator', 'namespace', 'update', '-n', namespace, '--retention', RETENTION]);
  const types = searchAttributes.flatMap(({ name, type }) => ['--name', name, '--type', type.toLowerCase()]);
  await temporal(binary, port, ['operator', 'search-attribute', 'create', '-n', namespace, ...types]);
}

/** The database file of a stack. */
export function temporalDatabaseFile(home: string): string {
  return join(home, 'temporal', 'temporal.db');
}

function temporal(binary: string, port: number, args: readonly string[]): Promise<CommandEnd> {
  const own = ['--address', `127.0.0.1:${port}`, '--disable-config-file', '--disable-config-env'];
  return tryCommand(binary, [...args, ...own]);
}
