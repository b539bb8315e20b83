import { createHmac, randomUUID } from 'node:crypto';
import { Webhook } from 'standardwebhooks';

/** A request as a source host makes it. */
export interface SourceDelivery {
  readonly headers: Record<string, string>;
  readonly body: string;
}

/** GitHub's push of one commit; `payload` replaces members. */
export function githubPush(
  secret: string,
  payload: Readonly<Record<string, unknown>>,
  { deliveryId = randomUUID(), event = 'push' }: { deliveryId?: string; event?: string } = {},
): SourceDelivery {
  const body = JSON.stringify({
    ref: 'refs/heads/main',
    before: '1'.repeat(40),
    after: 'a'.repeat(40),
    deleted: false,
    repository: { full_name: 'acme/app', fork: false },
    pusher: { name: 'octocat' },
    ...payload,
  });
  return {
    body,
    headers: {
      'content-type': 'application/json',
      'x-github-event': event,
      'x-github-delivery': deliveryId,
      'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
    },
  };
}

/** A plain git server's push, signed by the Standard Webhooks reference library. */
export function genericPush(
  secret: string,
  payload: Readonly<Record<string, unknown>>,
  { deliveryId = randomUUID(), at }: { deliveryId?: string; at: Date },
): SourceDelivery {
  const body = JSON.stringify({ ref: 'refs/heads/main', after: 'a'.repeat(40), ...payload });
  return {
    body,
    headers: {
      'content-type': 'application/json',
      'webhook-id': deliveryId,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
      'webhook-signature': new Webhook(secret).sign(deliveryId, at, body),
    },
  };
}

/** Bitbucket's push of a commit of its own to each of these branches, in one delivery. */
export function bitbucketPush(secret: string, branches: readonly string[]): SourceDelivery {
  const changes = branches.map((name, index) => {
    const target = { hash: `${index + 1}`.padStart(40, 'b'), message: 'fix', author: { raw: 'Ada' } };
    return { new: { type: 'branch', name, target }, old: null, created: true, closed: false, forced: false };
  });
  const repository = { full_name: 'acme/app', uuid: '{1}' };
  const body = JSON.stringify({ repository, actor: { nickname: 'ada' }, push: { changes } });
  return {
    body,
    headers: {
      'content-type': 'application/json',
      'x-event-key': 'repo:push',
      'x-request-uuid': randomUUID(),
      'x-hub-signature': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
    },
  };
}
