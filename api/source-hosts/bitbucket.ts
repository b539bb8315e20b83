import { z } from 'zod';
import type { IgnoredReason } from '../../domain/source.ts';
import { isBound, readBody, readChanges } from './payload.ts';
import type { ChangeClaim } from './payload.ts';
import { hexCheck, sha256Header } from './signature.ts';
import type { SourceHostAdapter } from './source-host.ts';

const refSchema = z.looseObject({
  type: z.string(),
  name: z.string(),
  target: z
    .looseObject({
      hash: z.string(),
      message: z.string().nullish(),
      author: z.looseObject({ raw: z.string().nullish() }).nullish(),
    })
    .nullish(),
});
const changeSchema = z.looseObject({
  old: refSchema.nullish(),
  /** Null: the ref was deleted. */
  new: refSchema.nullish(),
  forced: z.boolean().nullish(),
});
const pushSchema = z.looseObject({
  push: z.looseObject({ changes: z.array(changeSchema) }),
  actor: z.looseObject({ nickname: z.string().nullish(), username: z.string().nullish() }).nullish(),
  repository: z.looseObject({ full_name: z.string().nullish(), parent: z.looseObject({}).nullish() }).nullish(),
});

const folders: Readonly<Record<string, string>> = { branch: 'refs/heads/', tag: 'refs/tags/' };

/** Bitbucket Cloud: one delivery may tell several refs. */
export const bitbucket: SourceHostAdapter = {
  isBodySigned: true,
  signatureCheck: (headers, { secrets }) => hexCheck(secrets, sha256Header(headers.get('x-hub-signature'))),
  deliveryId: (headers) => headers.get('x-request-uuid') ?? undefined,
  event: (headers) => headers.get('x-event-key') ?? '',
  parse(event, body, bound) {
    if (event !== 'repo:push') return { kind: 'ignored', reason: ignoredReason(event) };
    const read = readBody(pushSchema, body);
    if ('invalid' in read) return read.invalid;
    const { push, actor, repository } = read.data;
    const isFork = isPresent(repository?.parent) && !isBound(bound, repository?.full_name);
    const shared = { actor: actor?.nickname ?? actor?.username, isFork };
    return readChanges(push.changes.map((change) => ({ ...claimOf(change), ...shared })));
  },
};

/** Events of either Bitbucket that never start a run. */
export function ignoredReason(event: string): IgnoredReason {
  if (event.startsWith('pullrequest:') || event.startsWith('pr:')) return 'pull_request';
  if (event === 'repo:fork' || event === 'repo:forked') return 'fork';
  return event === 'diagnostics:ping' ? 'ping' : 'other_event';
}

function claimOf({ old: before, new: now, forced }: z.infer<typeof changeSchema>): ChangeClaim {
  const { type = '', name = '' } = now ?? before ?? {};
  return {
    // Mercurial's bookmarks and named branches have no place among git's refs and are left out there.
    fullRef: `${folders[type] ?? ''}${name}`,
    before: before?.target?.hash,
    commit: now?.target?.hash,
    isDeleted: !isPresent(now),
    message: now?.target?.message,
    author: now?.target?.author?.raw?.replace(/\s*<[^>]*>\s*$/, ''),
    isForced: forced === true,
  };
}

function isPresent(value: unknown): boolean {
  return value !== null && value !== undefined;
}
