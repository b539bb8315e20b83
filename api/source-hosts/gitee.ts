import { Buffer } from 'node:buffer';
import { createHash, createHmac } from 'node:crypto';
import { z } from 'zod';
import type { IgnoredReason } from '../../domain/source.ts';
import { parseJson, pathsOf, readBody, readChange } from './payload.ts';
import { claimOf, pushSchema } from './push-payload.ts';
import { tokenCheck } from './signature.ts';
import type { SourceHostAdapter } from './source-host.ts';

const toleranceMs = 60 * 60 * 1_000;

const giteePushSchema = pushSchema.extend({
  commits_more_than_ten: z.boolean().nullish(),
  total_commits_count: z.number().nullish(),
});
const bodySchema = z.looseObject({
  hook_id: z.union([z.number(), z.string()]).nullish(),
  ref: z.string().nullish(),
  after: z.string().nullish(),
  password: z.unknown(),
  sign: z.unknown(),
});

const pushEvents = ['Push Hook', 'Tag Push Hook'];
const ignoredEvents: Readonly<Record<string, IgnoredReason>> = { 'Merge Request Hook': 'pull_request' };

/**
 * Gitee: the header holds the hook's password, or a signature of the time alone, so that nothing vouches for the body. The body
 * repeats both, and there is no id of the delivery: the parts that are kept are the push's own.
 */
export const gitee: SourceHostAdapter = {
  isBodySigned: false,
  signatureCheck(headers, { secrets, now }) {
    const timestamp = headers.get('x-gitee-timestamp') ?? '';
    const isFresh = /^\d{1,15}$/.test(timestamp) && Math.abs(now.getTime() - Number(timestamp)) <= toleranceMs;
    const token = headers.get('x-gitee-token') ?? '';
    return tokenCheck({
      expected: secrets.flatMap((secret) => [secret, signatureOf(secret, timestamp)]),
      claimed: [token, decoded(token)],
      isRefused: !isFresh,
    });
  },
  deliveryId: () => undefined,
  event: (headers) => headers.get('x-gitee-event') ?? '',
  parse(event, body, bound) {
    if (!pushEvents.includes(event)) return { kind: 'ignored', reason: ignoredEvents[event] ?? 'other_event' };
    const read = readBody(giteePushSchema, body);
    if ('invalid' in read) return read.invalid;
    const { commits, commits_more_than_ten: isCut, total_commits_count: total } = read.data;
    const isComplete = isCut === false && total === commits?.length;
    return readChange({ ...claimOf(read.data, bound), paths: pathsOf(commits, { isComplete }) });
  },
  keep(body, headers) {
    const json = bodySchema.safeParse(parseJson(body));
    const { password: _password, sign: _sign, ...kept } = json.data ?? { hook_id: null, ref: null, after: null };
    const parts = [kept.hook_id, headers.get('x-gitee-timestamp'), kept.ref, kept.after];
    return {
      deliveryId: `sha256:${createHash('sha256')
        .update(json.success ? JSON.stringify(parts) : body)
        .digest('hex')}`,
      // What is no JSON object is not kept either: it could hold the password just the same.
      body: Buffer.from(json.success ? JSON.stringify(kept) : ''),
    };
  },
};

function signatureOf(secret: string, timestamp: string): string {
  return createHmac('sha256', secret).update(`${timestamp}\n${secret}`).digest('base64');
}

/** Gitee sends the signature URL-encoded in some versions. */
function decoded(token: string): string {
  try {
    return decodeURIComponent(token);
  } catch {
    return token;
  }
}
