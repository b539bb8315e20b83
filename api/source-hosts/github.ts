import type { IgnoredReason } from '../../domain/source.ts';
import { pathsOf, readBody, readChange } from './payload.ts';
import { claimOf, pushSchema } from './push-payload.ts';
import { hexCheck, sha256Header } from './signature.ts';
import type { SourceHostAdapter } from './source-host.ts';

/** GitHub lists at most so many commits of a push and does not say when it left some out. */
const commitsListed = 2_048;

/** Events that never start a run. GitHub reports a created branch or tag, with its commit, as a `push` too: `create` counts nothing twice. */
const ignoredEvents: Readonly<Record<string, IgnoredReason>> = {
  ping: 'ping',
  delete: 'ref_deleted',
  create: 'no_change',
  fork: 'fork',
  pull_request: 'pull_request',
  pull_request_review: 'pull_request',
  pull_request_review_comment: 'pull_request',
  pull_request_target: 'pull_request',
};

/** GitHub and GitHub Enterprise: HMAC-SHA256 over the raw body; the older SHA-1 header is not looked at. */
export const github: SourceHostAdapter = {
  isBodySigned: true,
  signatureCheck: (headers, { secrets }) => hexCheck(secrets, sha256Header(headers.get('x-hub-signature-256'))),
  deliveryId: (headers) => headers.get('x-github-delivery') ?? undefined,
  event: (headers) => headers.get('x-github-event') ?? '',
  parse(event, body, bound) {
    if (event !== 'push') return { kind: 'ignored', reason: ignoredEvents[event] ?? 'other_event' };
    const read = readBody(pushSchema, body);
    if ('invalid' in read) return read.invalid;
    const { commits, repository } = read.data;
    return readChange({
      ...claimOf(read.data, bound),
      pushedAt: repository?.pushed_at,
      paths: pathsOf(commits, { isComplete: (commits?.length ?? 0) < commitsListed }),
    });
  },
};
