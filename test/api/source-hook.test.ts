import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { insertSecret } from '../../db/repositories/secret.ts';
import { getSourceBinding, rotateHookSecret } from '../../db/repositories/source-binding.ts';
import { createTestApi } from '../support/api.ts';
import type { TestApi } from '../support/api.ts';
import { seedRepository } from '../support/seed.ts';
import { genericPush, githubPush } from '../support/source-push.ts';
import type { SourceDelivery } from '../support/source-push.ts';

let api: TestApi;
beforeAll(async () => {
  api = await createTestApi();
});
afterAll(() => api.close());

const deliver = (hookId: string, { headers, body }: SourceDelivery) =>
  api.call('POST', `/hooks/${hookId}`, { headers, body, isLoggedIn: false });

async function inboxOf(hookId: string) {
  return api.deps.db.selectFrom('inbox').selectAll().where('hook_id', '=', hookId).execute();
}

describe('a delivery of GitHub', () => {
  it('with its signature is stored and answered 202 without any login', async () => {
    const { hookId, hookSecret } = await seedRepository(api.deps.db, api.deps.secretBox);
    const answer = await deliver(hookId, githubPush(hookSecret, {}, { deliveryId: 'd-1' }));
    expect(answer.status).toBe(202);
    expect(answer.body).toEqual({ id: expect.stringMatching(/^\d+$/), duplicate: false });
    expect(await inboxOf(hookId)).toMatchObject([
      { delivery_id: 'd-1', event: 'push', state: 'pending', host: 'github' },
    ]);
  });

  it('sent twice is stored once and told to be a duplicate with the same id', async () => {
    const { hookId, hookSecret } = await seedRepository(api.deps.db, api.deps.secretBox);
    const push = githubPush(hookSecret, {});
    const first = await deliver(hookId, push);
    const second = await deliver(hookId, push);
    expect(second.status).toBe(202);
    expect(second.body).toEqual({ id: first.body?.['id'], duplicate: true });
    expect(await inboxOf(hookId)).toHaveLength(1);
  });

  it.each([
    ['another secret', (push: SourceDelivery) => githubPush('whsec_b3RoZXI=', JSON.parse(push.body))],
    ['a changed body', (push: SourceDelivery) => ({ ...push, body: push.body.replace('main', 'mail') })],
    ['no signature', (push: SourceDelivery) => withHeader(push, 'x-hub-signature-256', '')],
    ['an empty signature', (push: SourceDelivery) => withHeader(push, 'x-hub-signature-256', 'sha256=')],
    [
      'a shortened signature',
      (push: SourceDelivery) =>
        withHeader(push, 'x-hub-signature-256', push.headers['x-hub-signature-256']?.slice(0, -2) ?? ''),
    ],
    [
      'the signature under the SHA-1 header',
      (push: SourceDelivery) =>
        withHeader(
          withHeader(push, 'x-hub-signature-256', ''),
          'x-hub-signature',
          push.headers['x-hub-signature-256'] ?? '',
        ),
    ],
    [
      'the signature of another scheme',
      (push: SourceDelivery) =>
        withHeader(push, 'x-hub-signature-256', push.headers['x-hub-signature-256']?.replace('sha256', 'sha1') ?? ''),
    ],
  ])('with %s is refused and leaves nothing', async (_, tamper) => {
    const { hookId, hookSecret } = await seedRepository(api.deps.db, api.deps.secretBox);
    const answer = await deliver(hookId, tamper(githubPush(hookSecret, {})));
    expect(answer.status).toBe(401);
    expect(answer.body).toMatchObject({ code: 'source.signature_invalid' });
    expect(await inboxOf(hookId)).toEqual([]);
  });

  it('to an address nobody has is refused with the very answer of a wrong signature', async () => {
    const { hookId, hookSecret } = await seedRepository(api.deps.db, api.deps.secretBox);
    const unknown = await deliver('f'.repeat(32), githubPush(hookSecret, {}));
    const wrong = await deliver(hookId, githubPush('whsec_b3RoZXI=', {}));
    expect(unknown.status).toBe(401);
    expect({ ...unknown.body, requestId: '' }).toEqual({ ...wrong.body, requestId: '' });
  });

  it('that is signed but no JSON is accepted: what it is worth is decided later', async () => {
    const { hookId, hookSecret } = await seedRepository(api.deps.db, api.deps.secretBox);
    const { createHmac } = await import('node:crypto');
    const signature = createHmac('sha256', hookSecret).update('payload=x').digest('hex');
    const answer = await deliver(
      hookId,
      withHeader({ ...githubPush(hookSecret, {}), body: 'payload=x' }, 'x-hub-signature-256', `sha256=${signature}`),
    );
    expect(answer.status).toBe(202);
  });
});

describe('a secret that was changed', () => {
  it('is taken beside the new one until its time is over', async () => {
    const { db, secretBox } = api.deps;
    const { id, namespaceId, hookId, hookSecret } = await seedRepository(db, secretBox);
    const newSecret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
    const binding = await getSourceBinding(db, id);
    const secretRef = await insertSecret(db, secretBox, { ownerId: namespaceId, kind: 'hook', value: newSecret });
    await rotateHookSecret(db, binding, { secretRef, previousUntil: new Date(api.deps.clock().getTime() + 1) });
    expect((await deliver(hookId, githubPush(hookSecret, {}))).status).toBe(202);
    expect((await deliver(hookId, githubPush(newSecret, {}))).status).toBe(202);

    await db.updateTable('source_binding').set({ previous_hook_secret_until: api.deps.clock() }).execute();
    expect((await deliver(hookId, githubPush(hookSecret, {}))).status).toBe(401);
    expect((await deliver(hookId, githubPush(newSecret, {}))).status).toBe(202);
  });
});

describe('a delivery of a plain git server', () => {
  const at = new Date('2026-11-21T12:00:00Z');

  it('signed by the reference library is stored', async () => {
    const { hookId, hookSecret } = await seedRepository(api.deps.db, api.deps.secretBox, { host: 'git' });
    const answer = await deliver(hookId, genericPush(hookSecret, {}, { deliveryId: 'msg_1', at }));
    expect(answer.status).toBe(202);
    expect(await inboxOf(hookId)).toMatchObject([{ delivery_id: 'msg_1', host: 'git' }]);
  });

  it('signed with the old and the new key during a rotation is stored', async () => {
    const { hookId, hookSecret } = await seedRepository(api.deps.db, api.deps.secretBox, { host: 'git' });
    const push = genericPush(hookSecret, {}, { at });
    const answer = await deliver(
      hookId,
      withHeader(push, 'webhook-signature', `v1,AAAA v1a,BBBB ${push.headers['webhook-signature']}`),
    );
    expect(answer.status).toBe(202);
  });

  it.each([
    ['a changed id', (push: SourceDelivery) => withHeader(push, 'webhook-id', 'msg_other')],
    ['no id', (push: SourceDelivery) => withHeader(push, 'webhook-id', '')],
    [
      'a changed time',
      (push: SourceDelivery) => withHeader(push, 'webhook-timestamp', String(at.getTime() / 1_000 + 1)),
    ],
    ['a time that is no number', (push: SourceDelivery) => withHeader(push, 'webhook-timestamp', 'now')],
    [
      'a changed signature',
      (push: SourceDelivery) =>
        withHeader(push, 'webhook-signature', push.headers['webhook-signature']?.replace(/v1,./, otherFirst) ?? ''),
    ],
    [
      'a signature of another scheme',
      (push: SourceDelivery) =>
        withHeader(push, 'webhook-signature', push.headers['webhook-signature']?.replace('v1,', 'v2,') ?? ''),
    ],
    ['a changed body', (push: SourceDelivery) => ({ ...push, body: `${push.body} ` })],
  ])('with %s is refused', async (_, tamper) => {
    const { hookId, hookSecret } = await seedRepository(api.deps.db, api.deps.secretBox, { host: 'git' });
    const answer = await deliver(hookId, tamper(genericPush(hookSecret, {}, { at })));
    expect(answer.status).toBe(401);
    expect(answer.body).toMatchObject({ code: 'source.signature_invalid' });
    expect(await inboxOf(hookId)).toEqual([]);
  });

  it.each([[-301], [301]])('signed %i s away from our clock is a replay and refused', async (seconds) => {
    const { hookId, hookSecret } = await seedRepository(api.deps.db, api.deps.secretBox, { host: 'git' });
    const answer = await deliver(hookId, genericPush(hookSecret, {}, { at: new Date(at.getTime() + seconds * 1_000) }));
    expect(answer.status).toBe(401);
  });
});

describe('the size of a delivery', () => {
  it('of 20 MB is taken in, packed and whole', async () => {
    const { hookId, hookSecret } = await seedRepository(api.deps.db, api.deps.secretBox);
    const answer = await deliver(hookId, githubPush(hookSecret, { filler: 'x'.repeat(20 * 1024 * 1024) }));
    expect(answer.status).toBe(202);
    expect((await inboxOf(hookId))[0]?.body?.length).toBeLessThan(1024 * 1024);
  });

  it('declared over 25 MB is refused before its body is read', async () => {
    const { hookId, hookSecret } = await seedRepository(api.deps.db, api.deps.secretBox);
    const answer = await deliver(
      hookId,
      withHeader(githubPush(hookSecret, {}), 'content-length', String(25 * 1024 * 1024 + 1)),
    );
    expect(answer.status).toBe(413);
    expect(answer.body).toMatchObject({ code: 'request.too_large', detail: expect.stringContaining('25 MB') });
  });

  it('over 25 MB without a declared length is refused while it is read', async () => {
    const { hookId, hookSecret } = await seedRepository(api.deps.db, api.deps.secretBox);
    const answer = await deliver(hookId, githubPush(hookSecret, { filler: 'x'.repeat(25 * 1024 * 1024) }));
    expect(answer.status).toBe(413);
    expect(await inboxOf(hookId)).toEqual([]);
  });
});

function withHeader({ headers, body }: SourceDelivery, name: string, value: string): SourceDelivery {
  return { body, headers: { ...headers, [name]: value } };
}

/** Another first character of a signature than the one it has. */
function otherFirst(head: string): string {
  return head.endsWith('A') ? 'v1,B' : 'v1,A';
}
