import { Buffer } from 'node:buffer';
import { z } from 'zod';
import type { IgnoredReason } from '../../domain/source.ts';
import { isCommit, isZeroCommit, parseJson, parseRef, parseTime, plainText } from './payload.ts';
import { hmacCheck } from './signature.ts';
import type { BoundRepository, ParsedDelivery, SourceHostAdapter } from './source-host.ts';

const pushSchema = z.looseObject({
  ref: z.string(),
  before: z.string().nullish(),
  after: z.string(),
  deleted: z.boolean().nullish(),
  forced: z.boolean().nullish(),
  head_commit: z
    .looseObject({
      id: z.string(),
      message: z.string().nullish(),
      author: z.looseObject({ name: z.string().nullish() }).nullish(),
    })
    .nullish(),
  repository: z
    .looseObject({
      full_name: z.string().nullish(),
      fork: z.boolean().nullish(),
      pushed_at: z.union([z.number(), z.string()]).nullish(),
    })
    .nullish(),
  pusher: z.looseObject({ name: z.string().nullish() }).nullish(),
});
type Push = z.infer<typeof pushSchema>;

/** Events that never start a run. GitHub reports a created branch or tag, with its commit, as a `push` too: `create` counts nothing twice. */
const ignoredEvents: Readonly<Record<string, IgnoredReason>> = {
  ping: 'ping',
  delete: 'ref_deleted',
  create: 'no_change',
  fork: 'fork',
  pull_request: 'pull_request',
  pull_request_review: 'pull_request',
  pull_request_target: 'pull_request',
};

/** GitHub and GitHub Enterprise: HMAC-SHA256 over the raw body; the older SHA-1 header is not looked at. */
export const github: SourceHostAdapter = {
  signatureCheck(headers, { secrets }) {
    const claimed = /^sha256=([0-9a-f]{64})$/i.exec(headers.get('x-hub-signature-256') ?? '')?.[1];
    return hmacCheck({
      keys: secrets.map((secret) => Buffer.from(secret, 'utf8')),
      encoding: 'hex',
      claimed: [claimed?.toLowerCase() ?? ''],
    });
  },
  deliveryId: (headers) => headers.get('x-github-delivery') ?? undefined,
  event: (headers) => headers.get('x-github-event') ?? '',
  parse(event, body, bound) {
    if (event !== 'push') return { kind: 'ignored', reason: ignoredEvents[event] ?? 'other_event' };
    const json = parseJson(body);
    if (json === undefined) {
      return {
        kind: 'invalid',
        reason: 'the body is not JSON; set the content type of the webhook to application/json',
      };
    }
    const push = pushSchema.safeParse(json);
    return push.success ? parsePush(push.data, bound) : { kind: 'invalid', reason: z.prettifyError(push.error) };
  },
};

function parsePush(push: Push, bound: BoundRepository): ParsedDelivery {
  if (!/^refs\/(heads|tags)\//.test(push.ref)) return { kind: 'ignored', reason: 'other_event' };
  const ref = parseRef(push.ref);
  if (ref === undefined) return { kind: 'invalid', reason: 'the ref is not a name git accepts' };
  const isDeleted = push.deleted === true || isZeroCommit(push.after);
  // For an annotated tag `after` is the tag object; head_commit is the commit it points at.
  const commit = isDeleted ? null : (push.head_commit?.id ?? push.after).toLowerCase();
  if (commit !== null && !isCommit(commit))
    return { kind: 'invalid', reason: 'the commit id is not 40 or 64 hex digits' };
  const pushedAt = push.repository?.pushed_at ?? null;
  return {
    kind: 'changes',
    changes: [
      {
        ...ref,
        commit,
        before: beforeOf(push.before),
        message: plainText(push.head_commit?.message),
        author: plainText(push.head_commit?.author?.name),
        actor: plainText(push.pusher?.name),
        pushedAt: pushedAt === null ? null : (parseTime(pushedAt) ?? null),
        isDeleted,
        isFork: isOfFork(push, bound),
        isForced: push.forced === true,
        paths: null,
      },
    ],
  };
}

function beforeOf(before: string | null | undefined): string | null {
  const commit = before?.toLowerCase();
  return isCommit(commit) && !isZeroCommit(commit) ? commit : null;
}

/** A push to a fork of the bound repository. Where the bound repository is itself a fork, its own pushes count. */
function isOfFork({ repository }: Push, { codeNamespace, codeRepository }: BoundRepository): boolean {
  if (repository?.fork !== true) return false;
  const boundName = `${codeNamespace}/${codeRepository.replace(/\.git$/, '')}`;
  return repository.full_name?.toLowerCase() !== boundName.toLowerCase();
}
