import { z } from 'zod';
import type { IgnoredReason } from '../../domain/source.ts';
import { isForkOf, pathsOf, readBody, readChange } from './payload.ts';
import { claimOf, pushSchema } from './push-payload.ts';
import { hexCheck } from './signature.ts';
import type { BoundRepository, ParsedDelivery, SourceHostAdapter } from './source-host.ts';

const giteaPushSchema = pushSchema.extend({
  /** The payload lists only the newest few of these; older versions do not say. */
  total_commits: z.number().nullish(),
});
const deleteSchema = z.looseObject({
  ref: z.string(),
  ref_type: z.enum(['branch', 'tag']),
  sender: z.looseObject({ login: z.string().nullish() }).nullish(),
  repository: z.looseObject({ full_name: z.string().nullish(), fork: z.boolean().nullish() }).nullish(),
});

/** A created branch or tag comes as a `push` too: `create` counts nothing twice. */
const ignoredEvents: Readonly<Record<string, IgnoredReason>> = {
  create: 'no_change',
  fork: 'fork',
  pull_request: 'pull_request',
};

/** Gitea and Forgejo, whose own header decides where it is there: a good second header never rescues a bad first. */
export const gitea: SourceHostAdapter = {
  isBodySigned: true,
  signatureCheck: (headers, { secrets }) =>
    hexCheck(secrets, headers.get('x-forgejo-signature') ?? headers.get('x-gitea-signature') ?? undefined),
  deliveryId: (headers) => headers.get('x-gitea-delivery') ?? headers.get('x-forgejo-delivery') ?? undefined,
  event: (headers) => headers.get('x-gitea-event') ?? headers.get('x-forgejo-event') ?? '',
  parse(event, body, bound) {
    if (event === 'push') return parsePush(body, bound);
    if (event === 'delete') return parseDelete(body, bound);
    const reason = event.startsWith('pull_request') ? 'pull_request' : ignoredEvents[event];
    return { kind: 'ignored', reason: reason ?? 'other_event' };
  },
};

function parsePush(body: Uint8Array, bound: BoundRepository): ParsedDelivery {
  const read = readBody(giteaPushSchema, body);
  if ('invalid' in read) return read.invalid;
  const { commits, total_commits: total, after } = read.data;
  // Older versions send no head_commit.
  const head = read.data.head_commit ?? commits?.find(({ id }) => id === after);
  return readChange({
    ...claimOf({ ...read.data, head_commit: head }, bound),
    paths: pathsOf(commits, { isComplete: total === commits?.length }),
  });
}

/** The only word of a deletion: no push of zeros follows, as GitHub sends it. */
function parseDelete(body: Uint8Array, bound: BoundRepository): ParsedDelivery {
  const read = readBody(deleteSchema, body);
  if ('invalid' in read) return read.invalid;
  const { ref, ref_type: type, sender, repository } = read.data;
  const name = ref.replace(/^refs\/(heads|tags)\//, '');
  return readChange({
    fullRef: `refs/${type === 'tag' ? 'tags' : 'heads'}/${name}`,
    before: null,
    commit: null,
    actor: sender?.login,
    isFork: isForkOf(bound, repository),
  });
}
