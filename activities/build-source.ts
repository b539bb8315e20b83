import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { ApplicationFailure, Context } from '@temporalio/activity';
import type { RepositoryRef } from '../domain/chain.ts';
import { SourceError } from '../domain/source-error.ts';
import type { RunSource } from '../domain/source.ts';
import type { Database } from '../db/database.ts';
import { noteCommit, setBuildStage } from '../db/repositories/build-progress.ts';
import { findKnownDefaultBranch, noteDefaultBranch } from '../db/repositories/default-branch.ts';
import { findSourceAddress } from '../db/repositories/source-address.ts';
import { openActivityLog, withLog, type BuildLog } from './build-log.ts';
import type { ContextArchive } from './drivers/git-context.ts';
import type { Git, GitCredential } from './drivers/git.ts';
import type { ObjectStore } from './drivers/object-store.ts';
import type { SourceLogins } from './drivers/source-logins.ts';
import { heartbeating } from './heartbeat.ts';
import { inWorkspace } from './workspace.ts';

export interface SourceDeps {
  readonly db: Database;
  readonly objectStore: Pick<ObjectStore, 'objectPut' | 'objectHead'>;
  readonly git: Pick<Git, 'commitClone' | 'contextArchive' | 'headBranch'>;
  readonly sourceLogins: Pick<SourceLogins, 'git'>;
  /** Folder for checkouts and contexts. */
  readonly workDir: string;
  readonly clock: () => Date;
}

/** What every activity of a build is told. */
export interface SourceInput {
  readonly runId: string;
  /** Of the run. */
  readonly attempt: number;
  readonly buildId: string;
  readonly repository: RepositoryRef;
  readonly source: RunSource;
}

export interface CloneSourceInput extends SourceInput {
  readonly contextDirectory: string;
  readonly dockerfile: string;
}

/** The build context as an object; `commitTime` is RFC 3339. */
export interface ClonedSource {
  readonly contextKey: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly commitTime: string;
  /** The branch HEAD names at the source host; null where the host does not say. */
  readonly defaultBranch: string | null;
}

const cloneTimeoutMs = 5 * 60_000;
/** A grant may have to be renewed at its host first; the activity's heartbeat comes later. */
const loginMs = 25_000;
const defaultBranchKeptMs = 60 * 60_000;
const contextFreshMs = 12 * 60 * 60_000;

/**
 * Takes the commit's build context and stores it under its digest. Permanent failures: the codes of `SourceError` but
 * `source.not_reachable`, and `source.not_bound`.
 */
export async function cloneSource(deps: SourceDeps, input: CloneSourceInput): Promise<ClonedSource> {
  await setBuildStage(deps.db, { buildId: input.buildId, stage: 'clone', at: deps.clock() });
  const opened = await openSource(deps, input);
  const secrets = opened.credential === null ? [] : [opened.credential.password];
  const log = openActivityLog(deps, { ...input, platform: null, secrets });
  const work = (signal: AbortSignal) => cloneContext(deps, input, { ...opened, log, signal });
  return withLog(log, () =>
    heartbeating(work).catch((error: unknown) => {
      throw sourceFailure(error, log);
    }),
  );
}

/** The code of a repository, logged in to. */
interface OpenedSource {
  readonly url: string;
  readonly credential: GitCredential | null;
  readonly caCertificate: string | null;
}

async function openSource({ db, sourceLogins }: SourceDeps, { repository }: CloneSourceInput): Promise<OpenedSource> {
  const address = await findSourceAddress(db, repository.id);
  if (address === undefined) {
    const text = `The repository ${repository.namespace}/${repository.name} is no longer bound to any code. Bind a code source to it and push again.`;
    throw ApplicationFailure.nonRetryable(text, 'source.not_bound', { fault: 'user' });
  }
  const signal = AbortSignal.any([Context.current().cancellationSignal, AbortSignal.timeout(loginMs)]);
  const credential = await sourceLogins.git(address, { signal }).catch((error: unknown) => {
    throw sourceFailure(error);
  });
  return { url: address.url, credential, caCertificate: address.caCertificate };
}

async function cloneContext(
  deps: SourceDeps,
  { runId, buildId, repository, source, contextDirectory, dockerfile }: CloneSourceInput,
  {
    url,
    credential,
    caCertificate,
    log,
    signal,
  }: OpenedSource & { readonly log: BuildLog; readonly signal: AbortSignal },
): Promise<ClonedSource> {
  const { db, git, objectStore, workDir, clock } = deps;
  const remote = { credential, caCertificate, signal };
  const { commit, ref } = source;
  log.say('clone', `Cloning ${url}, ${source.refType} ${ref}, commit ${commit}`);
  return inWorkspace({ workDir, name: 'clone' }, async (folder) => {
    const directory = join(folder, 'source');
    const file = join(folder, 'context.tar');
    const [defaultBranch] = await Promise.all([
      findDefaultBranch(deps, { repositoryId: repository.id, url, remote }),
      git.commitClone({ url, commit, ref, ...remote, directory, timeoutMs: cloneTimeoutMs }),
    ]);
    const context = await git.contextArchive({ directory, commit, contextDirectory, dockerfile, file, signal });
    await noteCommit(db, { runId, buildId, message: context.message, author: context.author });
    const contextKey = `src/${context.sha256}`;
    const stored = await objectStore.objectHead(contextKey, { signal });
    // An older one is written anew: what nobody has written for `contextsKeptDays` is removed, under a run that is using it too.
    if (stored === undefined || clock().getTime() - stored.modifiedAt.getTime() > contextFreshMs) {
      await objectStore.objectPut(contextKey, createReadStream(file), { contentType: 'application/x-tar', signal });
    }
    log.say('clone', describeContext(contextDirectory, context));
    const { sha256, sizeBytes, commitTime } = context;
    return { contextKey, sha256, sizeBytes, commitTime, defaultBranch };
  });
}

/** Asked of the host beside the clone when it was not for a while. It only decides which cache helps: a host that does not say is no failure. */
async function findDefaultBranch(
  { db, git, clock }: SourceDeps,
  {
    repositoryId,
    url,
    remote,
  }: { repositoryId: string; url: string; remote: Omit<OpenedSource, 'url'> & { readonly signal: AbortSignal } },
): Promise<string | null> {
  const at = clock();
  const known = await findKnownDefaultBranch(db, repositoryId);
  if (known?.at !== undefined && at.getTime() - known.at.getTime() < defaultBranchKeptMs) return known.branch;
  try {
    const branch = (await git.headBranch(url, remote)) ?? null;
    await noteDefaultBranch(db, { repositoryId, branch, at });
    return branch;
  } catch (error) {
    if (error instanceof SourceError) return known?.branch ?? null;
    throw error;
  }
}

function describeContext(directory: string, { files, sizeBytes }: ContextArchive): string {
  return `Build context "${directory}": ${files} files, ${(sizeBytes / 1_000_000).toFixed(1)} MB`;
}

function sourceFailure(error: unknown, log?: BuildLog): unknown {
  if (!(error instanceof SourceError)) return error;
  log?.say('clone', `ERROR: ${error.message}`);
  const details = { ...error.params, fault: error.isPermanent ? 'user' : 'system' };
  if (error.isPermanent) return ApplicationFailure.nonRetryable(error.message, error.code, details);
  return ApplicationFailure.create({ message: error.message, type: error.code, details: [details] });
}
