import { z } from 'zod';
import { ignoredReason } from './bitbucket.ts';
import { readBody, readChanges } from './payload.ts';
import { hexCheck, sha256Header } from './signature.ts';
import type { SourceHostAdapter } from './source-host.ts';

const pushSchema = z.looseObject({
  date: z.string().nullish(),
  actor: z.looseObject({ name: z.string().nullish() }).nullish(),
  changes: z.array(
    z.looseObject({
      ref: z.looseObject({ id: z.string() }),
      fromHash: z.string().nullish(),
      toHash: z.string(),
      type: z.string(),
    }),
  ),
  /** Of the newest change; only newer versions send it. */
  toCommit: z
    .looseObject({
      id: z.string(),
      message: z.string().nullish(),
      author: z.looseObject({ name: z.string().nullish() }).nullish(),
    })
    .nullish(),
});

/** Bitbucket Data Center and Server: one delivery may tell several refs. */
export const bitbucketDataCenter: SourceHostAdapter = {
  isBodySigned: true,
  signatureCheck: (headers, { secrets }) => hexCheck(secrets, sha256Header(headers.get('x-hub-signature'))),
  deliveryId: (headers) => headers.get('x-request-id') ?? undefined,
  event: (headers) => headers.get('x-event-key') ?? '',
  parse(event, body) {
    if (event !== 'repo:refs_changed') return { kind: 'ignored', reason: ignoredReason(event) };
    const read = readBody(pushSchema, body);
    if ('invalid' in read) return read.invalid;
    const { date, actor, changes, toCommit } = read.data;
    return readChanges(
      changes.map(({ ref, fromHash, toHash, type }) => ({
        fullRef: ref.id,
        before: fromHash,
        commit: toHash,
        isDeleted: type === 'DELETE',
        message: toCommit?.id === toHash ? toCommit.message : null,
        author: toCommit?.id === toHash ? toCommit.author?.name : null,
        actor: actor?.name,
        pushedAt: date,
      })),
    );
  },
};
