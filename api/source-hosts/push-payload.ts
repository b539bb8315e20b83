import { z } from 'zod';
import { commitListSchema, isForkOf } from './payload.ts';
import type { ChangeClaim } from './payload.ts';
import type { BoundRepository } from './source-host.ts';

/** The push payload of GitHub, which Gitea, Forgejo and Gitee speak too; each adds to it. */
export const pushSchema = z.looseObject({
  ref: z.string(),
  before: z.string().nullish(),
  after: z.string(),
  deleted: z.boolean().nullish(),
  forced: z.boolean().nullish(),
  head_commit: z
    .looseObject({
      id: z.string().nullish(),
      message: z.string().nullish(),
      author: z.looseObject({ name: z.string().nullish() }).nullish(),
    })
    .nullish(),
  commits: commitListSchema,
  repository: z
    .looseObject({
      full_name: z.string().nullish(),
      fork: z.boolean().nullish(),
      pushed_at: z.union([z.number(), z.string()]).nullish(),
    })
    .nullish(),
  pusher: z
    .looseObject({ name: z.string().nullish(), login: z.string().nullish(), username: z.string().nullish() })
    .nullish(),
});

/** What such a payload claims, but for `paths` and the time of the push: those are each host's own. */
export function claimOf(push: z.infer<typeof pushSchema>, bound: BoundRepository): ChangeClaim {
  const { ref, before, after, deleted, forced, head_commit: head, repository, pusher } = push;
  return {
    fullRef: ref,
    before,
    // For an annotated tag `after` is the tag object; head_commit is the commit it points at.
    commit: head?.id ?? after,
    isDeleted: deleted === true || /^0+$/.test(after),
    message: head?.message,
    author: head?.author?.name,
    actor: pusher?.login ?? pusher?.username ?? pusher?.name,
    isFork: isForkOf(bound, repository),
    isForced: forced === true,
  };
}
