import { Buffer } from 'node:buffer';
import { z } from 'zod';
import { isCommit, isZeroCommit, parseJson, parseRef, parseTime, plainText } from './payload.ts';
import { hmacCheck } from './signature.ts';
import type { ParsedDelivery, SourceHostAdapter } from './source-host.ts';

/** How far the sender's clock may be off; an older request is a replay. */
const toleranceSeconds = 300;

const pushSchema = z.looseObject({
  /** Full name: `refs/heads/main`, `refs/tags/v1`. */
  ref: z.string(),
  before: z.string().nullish(),
  /** The newest commit; all zeros or null: the ref was deleted. */
  after: z.string().nullable(),
  message: z.string().nullish(),
  author: z.string().nullish(),
  actor: z.string().nullish(),
  /** RFC 3339, or seconds since 1970. */
  pushedAt: z.union([z.number(), z.string()]).nullish(),
});
type Push = z.infer<typeof pushSchema>;

/** A plain git server whose hook calls with a Standard Webhooks signature: `v1,<base64>` over `id.timestamp.body`. */
export const generic: SourceHostAdapter = {
  signatureCheck(headers, { secrets, now }) {
    const id = headers.get('webhook-id') ?? '';
    const timestamp = headers.get('webhook-timestamp') ?? '';
    const isFresh =
      /^\d{1,12}$/.test(timestamp) && Math.abs(now.getTime() / 1_000 - Number(timestamp)) <= toleranceSeconds;
    return hmacCheck({
      keys: secrets.map((secret) => Buffer.from(secret.replace(/^whsec_/, ''), 'base64')),
      prefix: `${id}.${timestamp}.`,
      encoding: 'base64',
      claimed: claimedSignatures(headers.get('webhook-signature') ?? ''),
      isRefused: id === '' || !isFresh,
    });
  },
  deliveryId: (headers) => headers.get('webhook-id') ?? undefined,
  event: () => 'push',
  parse(_event, body) {
    const json = parseJson(body);
    if (json === undefined) return { kind: 'invalid', reason: 'the body is not JSON' };
    const push = pushSchema.safeParse(json);
    return push.success ? parsePush(push.data) : { kind: 'invalid', reason: z.prettifyError(push.error) };
  },
};

/** At most ten are looked at: a sender that rotates its key signs with two. */
function claimedSignatures(header: string): readonly string[] {
  return header
    .split(' ')
    .filter((part) => part.startsWith('v1,'))
    .slice(0, 10)
    .map((part) => part.slice(3));
}

function parsePush(push: Push): ParsedDelivery {
  if (!/^refs\/(heads|tags)\//.test(push.ref)) return { kind: 'ignored', reason: 'other_event' };
  const ref = parseRef(push.ref);
  if (ref === undefined) return { kind: 'invalid', reason: 'the ref is not a name git accepts' };
  const after = push.after?.toLowerCase() ?? null;
  const isDeleted = after === null || isZeroCommit(after);
  if (!isDeleted && !isCommit(after)) return { kind: 'invalid', reason: 'after is not 40 or 64 hex digits' };
  const pushedAt = push.pushedAt === null || push.pushedAt === undefined ? null : parseTime(push.pushedAt);
  if (pushedAt === undefined) return { kind: 'invalid', reason: 'pushedAt is neither RFC 3339 nor seconds since 1970' };
  const before = push.before?.toLowerCase();
  return {
    kind: 'changes',
    changes: [
      {
        ...ref,
        commit: isDeleted ? null : after,
        before: isCommit(before) && !isZeroCommit(before) ? before : null,
        message: plainText(push.message),
        author: plainText(push.author),
        actor: plainText(push.actor),
        pushedAt,
        isDeleted,
        isFork: false,
        isForced: false,
        paths: null,
      },
    ],
  };
}
