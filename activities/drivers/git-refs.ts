import { limits } from '../../domain/limits.ts';
import { fullRefOf } from '../../domain/late-push.ts';
import type { HostTips } from '../../domain/late-push.ts';
import type { HostRef } from '../../domain/reconcile.ts';
import { SourceError } from '../../domain/source-error.ts';
import { addressWithoutLogin, gitErrorOf } from './git-errors.ts';
import type { GitLogin, GitRun } from './git.ts';

const timeoutMs = 30_000;
/** More names than a command line should carry are found by listing all. */
const namedRefs = 200;

/** Every branch and tag of a remote repository; what lies beside them (pull requests, notes) is left out. */
export async function listRefs(
  run: GitRun,
  { url, env, secrets, signal }: GitLogin & { readonly url: string; readonly signal: AbortSignal },
): Promise<readonly HostRef[]> {
  const ids = new Map<string, string>();
  // An annotated tag stands twice, the second time with what it names.
  const maxLines = 2 * limits.refsPerSource;
  const onStdoutLine = (line: string): void => {
    const [id = '', name = ''] = line.split('\t');
    if (ids.size <= maxLines) ids.set(name, id);
  };
  const args = ['ls-remote', '--heads', '--tags', '--', url];
  try {
    await run(args, { signal, timeoutMs, onStdoutLine, env, secrets });
  } catch (error) {
    throw gitErrorOf(error, { url, secrets });
  }
  const refs = [...ids].flatMap(([name, objectId]) => {
    const known = refOf(name);
    return known === undefined ? [] : [{ ...known, commit: ids.get(`${name}^{}`) ?? objectId, objectId }];
  });
  if (refs.length > limits.refsPerSource) throw tooManyRefs(url);
  return refs;
}

/**
 * Some refs of a remote repository, by the full names they were asked for; one that is not there is left out. A name is also taken
 * for the end of longer ones, so what was not asked for is dropped.
 */
export async function readRefs(
  run: GitRun,
  {
    url,
    fullRefs,
    env,
    secrets,
    signal,
  }: GitLogin & { readonly url: string; readonly fullRefs: readonly string[]; readonly signal: AbortSignal },
): Promise<HostTips> {
  if (fullRefs.length > namedRefs) return pick(await listRefs(run, { url, env, secrets, signal }), fullRefs);
  const ids = new Map<string, string>();
  const args = ['ls-remote', '--', url, ...fullRefs.flatMap((fullRef) => [fullRef, `${fullRef}^{}`])];
  try {
    const output = await run(args, { signal, timeoutMs, env, secrets });
    for (const line of output.split('\n')) ids.set(line.split('\t')[1] ?? '', line.split('\t')[0] ?? '');
  } catch (error) {
    throw gitErrorOf(error, { url, secrets });
  }
  return new Map(
    fullRefs.flatMap((fullRef) => {
      const objectId = ids.get(fullRef);
      return objectId === undefined ? [] : [[fullRef, { commit: ids.get(`${fullRef}^{}`) ?? objectId, objectId }]];
    }),
  );
}

function pick(refs: readonly HostRef[], fullRefs: readonly string[]): HostTips {
  const wanted = new Set(fullRefs);
  const all = refs.map((ref): [string, HostRef] => [fullRefOf(ref), ref]);
  return new Map(all.filter(([fullRef]) => wanted.has(fullRef)));
}

function refOf(name: string): Pick<HostRef, 'ref' | 'refType'> | undefined {
  if (name.endsWith('^{}')) return undefined;
  if (name.startsWith('refs/heads/')) return { ref: name.slice('refs/heads/'.length), refType: 'branch' };
  if (name.startsWith('refs/tags/')) return { ref: name.slice('refs/tags/'.length), refType: 'tag' };
  return undefined;
}

function tooManyRefs(url: string): SourceError {
  const where = addressWithoutLogin(url);
  return new SourceError(
    'source.too_many_refs',
    `${where} has more than ${limits.refsPerSource} branches and tags, so Slipway does not compare them with what it has seen: pushes its webhook does not report are not found. Delete branches and tags nobody needs.`,
    { params: { url: where, limit: limits.refsPerSource } },
  );
}
