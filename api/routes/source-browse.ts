import { z } from '@hono/zod-openapi';
import type { RemoteEntry } from '../../activities/drivers/git-remote.ts';
import { getRepository } from '../../db/repositories/repository.ts';
import { findSourceAddress } from '../../db/repositories/source-address.ts';
import type { SourceAddress } from '../../db/repositories/source-address.ts';
import { AppError, notFound } from '../../domain/errors.ts';
import { limits } from '../../domain/limits.ts';
import type { HostRef } from '../../domain/reconcile.ts';
import { SourceError } from '../../domain/source-error.ts';
import { askSource } from '../ask-source.ts';
import type { ApiDeps } from '../deps.ts';
import { idParam, json, newRoutes, route } from '../route.ts';

const resource = 'repository/{instance}/{namespace}/{repository}';

const refAnswer = z
  .object({ type: z.enum(['branch', 'tag']), name: z.string(), commit: z.string() })
  .openapi('SourceRef');
const refsAnswer = z.object({
  items: z.array(refAnswer),
  total: z.int().openapi({ description: 'How many match; at most 100 of them are listed.' }),
});
const entryAnswer = z
  .object({ name: z.string(), path: z.string(), type: z.enum(['directory', 'file', 'link', 'submodule']) })
  .openapi('SourceEntry');

/** A ref's name as git itself would take it, and nothing that a command could read otherwise. */
const refName = z
  .string()
  .min(1)
  .max(255)
  .regex(/^(?!.*(?:\.\.|\/\/|@\{|\.lock$))[^\s\p{Cc}~^:?*[\\+-][^\s\p{Cc}~^:?*[\\]*$/u);
const treePath = z
  .string()
  .max(1_024)
  .default('')
  .transform((path) =>
    path
      .split('/')
      .filter((part) => part !== '')
      .join('/'),
  )
  .refine((path) => !path.includes('\0') && !path.split('/').some((part) => part === '.' || part === '..'), {
    message: 'The path must not hold "." or "..".',
  });

const listRefs = route(
  {
    action: 'cr:GetSourceCode',
    resource,
    example: {
      items: [{ type: 'branch', name: 'main', commit: 'd4ef3dc3b77a011a5779eec7efdd45f3a2b1c0d9' }],
      total: 1,
    },
  },
  {
    method: 'get',
    path: '/repositories/{id}/source-binding/refs',
    summary: 'Branches and tags of the code, those that match best first',
    request: {
      params: idParam,
      query: z.strictObject({ q: z.string().max(255).default('').openapi({ description: 'Part of a name.' }) }),
    },
    responses: { 200: json(refsAnswer, 'Branches, then tags.') },
  },
);
const listTree = route(
  {
    action: 'cr:GetSourceCode',
    resource,
    example: { items: [{ name: 'Dockerfile', path: 'web/Dockerfile', type: 'file' }], nextCursor: null },
  },
  {
    method: 'get',
    path: '/repositories/{id}/source-binding/tree',
    summary: 'What stands in a directory of the code at a branch or tag',
    request: { params: idParam, query: z.strictObject({ ref: refName, path: treePath }) },
    responses: {
      200: json(z.object({ items: z.array(entryAnswer), nextCursor: z.null() }), 'Directories first, then the rest.'),
    },
  },
);

type BrowseDeps = Pick<ApiDeps, 'db' | 'git' | 'sourceLogins'>;

/** The code behind a binding, read by git as builds read it (docs/product.md, sections 5 and 6; docs/decisions/0110). */
export function sourceBrowseRoutes(deps: BrowseDeps) {
  return newRoutes('source')
    .openapi(listRefs, async (c) => {
      const address = await addressOf(deps, c.req.valid('param').id);
      const found = matching(await readRefs(deps, address), c.req.valid('query').q);
      const items = found
        .slice(0, limits.sourceRefsShown)
        .map(({ refType: type, ref: name, commit }) => ({ type, name, commit }));
      return c.json({ items, total: found.length }, 200);
    })
    .openapi(listTree, async (c) => {
      const address = await addressOf(deps, c.req.valid('param').id);
      const { ref, path } = c.req.valid('query');
      const entries = await readTree(deps, address, { ref, path });
      return c.json({ items: toItems(entries, path), nextCursor: null }, 200);
    });
}

async function addressOf({ db }: BrowseDeps, repositoryId: string): Promise<SourceAddress> {
  const repository = await getRepository(db, repositoryId);
  const address = await findSourceAddress(db, repository.id);
  if (address === undefined) throw notFound('source', repository.id);
  return address;
}

function readRefs(deps: BrowseDeps, address: SourceAddress): Promise<readonly HostRef[]> {
  const question = (remote: Remote) => deps.git.refsList(address.url, remote);
  return askSource(deps, { address, unanswered: 'its branches and tags are not known', question });
}

/** The branch of this name, or else the tag; `refs/heads/…` and `refs/tags/…` say which. */
async function readTree(
  deps: BrowseDeps,
  address: SourceAddress,
  { ref, path }: { ref: string; path: string },
): Promise<readonly RemoteEntry[]> {
  const names = ref.startsWith('refs/') ? [ref] : [`refs/heads/${ref}`, `refs/tags/${ref}`];
  const question = (remote: Remote) => firstTree(deps, { url: address.url, names, path, remote });
  const entries = await askSource(deps, { address, unanswered: 'the directory is not known', question });
  if (entries === 'no_ref')
    throw new AppError(
      404,
      'source.ref_not_found',
      `The source has no branch or tag "${ref}" now. Check its spelling, or choose one of the list.`,
    );
  if (entries !== undefined) return entries;
  throw new AppError(
    404,
    'source.path_not_found',
    `There is no directory "${path}" at "${ref}". Check its spelling, or choose a directory of the list above it.`,
  );
}

async function firstTree(
  { git }: BrowseDeps,
  { url, names, path, remote }: { url: string; names: readonly string[]; path: string; remote: Remote },
): Promise<readonly RemoteEntry[] | 'no_ref' | undefined> {
  for (const ref of names) {
    try {
      return await git.treeList(url, { ref, path }, remote);
    } catch (error) {
      if (!(error instanceof SourceError) || error.code !== 'source.ref_not_found') throw error;
    }
  }
  return 'no_ref';
}

type Remote = Parameters<BrowseDeps['git']['refsList']>[1];

/** Whole name, beginning, then anywhere; branches before tags, each by name. */
function matching(refs: readonly HostRef[], q: string): readonly HostRef[] {
  const wanted = q.toLowerCase();
  const rank = ({ ref }: HostRef): number => {
    const name = ref.toLowerCase();
    if (name === wanted) return 0;
    return name.startsWith(wanted) ? 1 : 2;
  };
  return refs
    .filter(({ ref }) => ref.toLowerCase().includes(wanted))
    .toSorted(
      (a, b) =>
        a.refType.localeCompare(b.refType) || rank(a) - rank(b) || a.ref.localeCompare(b.ref, 'en', { numeric: true }),
    );
}

function toItems(entries: readonly RemoteEntry[], path: string): z.infer<typeof entryAnswer>[] {
  return entries
    .map(({ name, type }) => ({ name, path: path === '' ? name : `${path}/${name}`, type }))
    .toSorted((a, b) => Number(b.type === 'directory') - Number(a.type === 'directory') || (a.name < b.name ? -1 : 1));
}
