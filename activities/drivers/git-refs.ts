import { limits } from '../../domain/limits.ts';
import type { HostRef } from '../../domain/reconcile.ts';
import { SourceError } from '../../domain/source-error.ts';
import { addressWithoutLogin, gitErrorOf } from './git-errors.ts';
import type { GitLogin, GitRun } from './git.ts';

const timeoutMs = 30_000;

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
