import { z } from 'zod';
import type { IgnoredReason } from '../../domain/source.ts';
import { commitListSchema, isBound, pathsOf, readBody, readChange } from './payload.ts';
import { tokenCheck } from './signature.ts';
import type { ParsedDelivery, SourceHostAdapter } from './source-host.ts';
import { standardWebhooksCheck } from './standard-webhooks.ts';

const pushSchema = z.looseObject({
  object_kind: z.string().nullish(),
  event_name: z.string().nullish(),
  ref: z.string(),
  before: z.string().nullish(),
  after: z.string(),
  /** The commit behind `after`, which of an annotated tag is the tag's own object; null when the ref was deleted. */
  checkout_sha: z.string().nullish(),
  user_username: z.string().nullish(),
  project: z.looseObject({ path_with_namespace: z.string().nullish() }).nullish(),
  commits: commitListSchema,
  /** The payload lists the newest 20 of these. */
  total_commits_count: z.number().nullish(),
});

const kindSchema = z.looseObject({ object_kind: z.string().nullish(), event_name: z.string().nullish() });

const pushEvents = ['Push Hook', 'Tag Push Hook'];
const systemEvent = 'System Hook';
const ignoredEvents: Readonly<Record<string, IgnoredReason>> = { 'Merge Request Hook': 'pull_request' };

/**
 * GitLab: since its signing tokens a Standard Webhooks signature, before them the secret itself in a header. A signature that is
 * there decides: the older header never rescues a bad one.
 */
export const gitlab: SourceHostAdapter = {
  isBodySigned: true,
  signatureCheck(headers, { secrets, now }) {
    if (headers.has('webhook-signature')) return standardWebhooksCheck(headers, { secrets, now });
    return tokenCheck({ expected: secrets, claimed: [headers.get('x-gitlab-token') ?? ''] });
  },
  deliveryId: (headers) =>
    headers.get('webhook-id') ?? headers.get('idempotency-key') ?? headers.get('x-gitlab-event-uuid') ?? undefined,
  event: (headers) => headers.get('x-gitlab-event') ?? '',
  parse(event, body, bound) {
    if (pushEvents.includes(event)) return parsePush(body);
    if (event !== systemEvent) return { kind: 'ignored', reason: ignoredEvents[event] ?? 'other_event' };
    // One address for a whole GitLab: most of what it tells is about something else.
    const kind = readBody(kindSchema, body);
    if ('invalid' in kind) return kind.invalid;
    if (!['push', 'tag_push'].includes(kind.data.event_name ?? kind.data.object_kind ?? ''))
      return { kind: 'ignored', reason: 'other_event' };
    const read = readBody(pushSchema, body);
    const isOurs = !('invalid' in read) && isBound(bound, read.data.project?.path_with_namespace);
    return isOurs || 'invalid' in read ? parsePush(body) : { kind: 'ignored', reason: 'other_event' };
  },
};

function parsePush(body: Uint8Array): ParsedDelivery {
  const read = readBody(pushSchema, body);
  if ('invalid' in read) return read.invalid;
  const { ref, before, after, checkout_sha: checkout, commits, total_commits_count: total } = read.data;
  const head = commits?.find(({ id }) => id === (checkout ?? after));
  return readChange({
    fullRef: ref,
    before,
    commit: checkout ?? after,
    isDeleted: /^0+$/.test(after),
    message: head?.message,
    author: head?.author?.name,
    actor: read.data.user_username,
    paths: pathsOf(commits, { isComplete: total === commits?.length }),
  });
}
