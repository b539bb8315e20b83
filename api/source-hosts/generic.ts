import { z } from 'zod';
import { readBody, readChange } from './payload.ts';
import type { SourceHostAdapter } from './source-host.ts';
import { standardWebhooksCheck } from './standard-webhooks.ts';

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
  forced: z.boolean().nullish(),
  /** Every file the push touched; omitted: not known. */
  paths: z.array(z.string()).nullish(),
});

/** A plain git server whose hook calls with a Standard Webhooks signature. */
export const generic: SourceHostAdapter = {
  isBodySigned: true,
  signatureCheck: standardWebhooksCheck,
  deliveryId: (headers) => headers.get('webhook-id') ?? undefined,
  event: () => 'push',
  parse(_event, body) {
    const read = readBody(pushSchema, body);
    if ('invalid' in read) return read.invalid;
    const { ref, before, after, message, author, actor, pushedAt, forced, paths } = read.data;
    return readChange({
      fullRef: ref,
      before,
      commit: after,
      message,
      author,
      actor,
      pushedAt,
      isForced: forced === true,
      paths: paths ?? null,
    });
  },
};
