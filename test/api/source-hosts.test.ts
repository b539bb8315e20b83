import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { insertSecret } from '../../db/repositories/secret.ts';
import { getSourceBinding, rotateHookSecret } from '../../db/repositories/source-binding.ts';
import { fullRefOf } from '../../domain/late-push.ts';
import { limits } from '../../domain/limits.ts';
import { createInboxWorld } from '../support/inbox-world.ts';
import type { InboxWorld } from '../support/inbox-world.ts';
import { seedBuildRule, seedRepository } from '../support/seed.ts';
import { deliveryOf } from '../support/source-sender.ts';
import { sourceSenders } from '../support/source-senders.ts';
import type { HostPush } from '../support/source-sender.ts';

let world: InboxWorld;
beforeAll(async () => {
  world = await createInboxWorld();
});
afterAll(() => world.close());

/** The host has what it told of. */
function hostHas({ means }: HostPush): void {
  const tips = means.flatMap((change) =>
    change.commit === null
      ? []
      : [[fullRefOf(change), { commit: change.commit, objectId: 'f'.repeat(40) }] satisfies [string, object]],
  );
  world.sourceTips.read.mockResolvedValue(new Map(tips));
}

async function inboxOf(hookId: string) {
  return world.deps.db.selectFrom('inbox').selectAll().where('hook_id', '=', hookId).orderBy('id').execute();
}

describe.each(sourceSenders)('%s', (_name, sender) => {
  beforeEach(() => {
    world.sourceTips.read.mockReset().mockResolvedValue(null);
  });

  /** A repository at this host whose rules take every branch and every tag. */
  async function seed() {
    const { db, secretBox } = world.deps;
    const repository = await seedRepository(db, secretBox, { host: sender.host });
    for (const type of ['branch', 'tag'])
      await seedBuildRule(db, repository.id, {
        ref: { type, name: '.*', match: 'regexp' },
        imageTags: [{ template: type }],
      });
    const secret = repository.hookSecret;
    const deliver = (push: HostPush, more: { body?: string; at?: Date; deliveryId?: string; secret?: string } = {}) =>
      world.deliver(repository.hookId, deliveryOf(sender, { secret, push, at: world.clock(), ...more }));
    return { ...repository, deliver };
  }

  it.each(['branch', 'tag', 'force'] as const)('%s: starts one run of the pushed commit', async (what) => {
    const repository = await seed();
    const push = sender.pushes[what];
    hostHas(push);
    const answer = await repository.deliver(push, { deliveryId: 'delivery-1' });
    expect(answer).toMatchObject({ status: 202, body: { duplicate: false } });
    await world.dispatchAll();

    const [run, ...others] = await world.runsOf(repository);
    const [meant] = push.means;
    expect(others).toEqual([]);
    expect(run).toMatchObject({
      ref: meant?.ref,
      ref_type: meant?.refType,
      commit: meant?.commit,
      tags: [meant?.refType],
      cause: 'source_push',
    });
    expect(await inboxOf(repository.hookId)).toMatchObject([
      {
        host: sender.host,
        event: push.event,
        delivery_id: expect.stringMatching(sender.idHeader === null ? /^sha256:[0-9a-f]{64}$/ : /^delivery-1$/),
        state: 'handled',
        body: null,
        outcome: { kind: 'runs', runs: [run?.id] },
        changes: [{ ...meant, kind: 'runs', runs: [run?.id] }],
      },
    ]);
  });

  it('delete: starts nothing and forgets the commit', async () => {
    const repository = await seed();
    hostHas(sender.pushes.remove);
    expect(await repository.deliver(sender.pushes.remove)).toMatchObject({ status: 202 });
    await world.dispatchAll();
    expect(await world.runsOf(repository)).toEqual([]);
    expect(await inboxOf(repository.hookId)).toMatchObject([
      {
        state: 'handled',
        body: null,
        outcome: { kind: 'ignored', reason: 'ref_deleted' },
        changes: [{ ...sender.pushes.remove.means[0], kind: 'ignored', reason: 'ref_deleted' }],
      },
    ]);
  });

  it('several refs: each starts what it starts, and is listed with its outcome', async () => {
    const repository = await seed();
    const { several, branch, tag } = sender.pushes;
    const pushes = several === null ? [branch, tag] : [several];
    for (const push of pushes) {
      hostHas(push);
      expect(await repository.deliver(push)).toMatchObject({ status: 202 });
      await world.dispatchAll();
    }
    const meant = pushes.flatMap(({ means }) => means);
    const built = meant.filter(({ commit }) => commit !== null);
    const runs = await world.runsOf(repository);
    expect(runs.map((run) => [run.ref, run.ref_type, run.commit])).toEqual(
      built.map(({ ref, refType, commit }) => [ref, refType, commit]),
    );
    const { body } = await world.call('GET', `/v1/repositories/${repository.id}/source-events`);
    const events = body?.['items'];
    expect(events).toHaveLength(pushes.length);
    expect(
      z
        .array(z.looseObject({ changes: z.array(z.unknown()) }))
        .parse(events)
        .toReversed()
        .flatMap(({ changes }) => changes),
    ).toMatchObject(meant.map((change) => ({ ...change, kind: change.commit === null ? 'ignored' : 'runs' })));
  });

  it.each([
    ['another secret', { secret: `whsec_${Buffer.alloc(32, 9).toString('base64')}` }],
    ['no proof at all', { proof: null }],
    ['an empty proof', { proof: '' }],
    ['a proof of a thousand commas', { proof: ','.repeat(1_000) }],
  ])(
    'bad signature (%s): 401, nothing stored',
    async (_what, { secret, proof }: { secret?: string; proof?: string | null }) => {
      const repository = await seed();
      const push = sender.pushes.branch;
      const { headers, body } = deliveryOf(sender, {
        secret: secret ?? repository.hookSecret,
        push,
        at: world.clock(),
      });
      const bare = Object.entries(headers).filter(([name]) => !/signature|token/.test(name));
      const sent =
        proof === null
          ? Object.fromEntries(bare)
          : { ...headers, ...(proof === undefined ? {} : { [sender.proof]: proof }) };
      const answer = await world.deliver(repository.hookId, { body, headers: sent });
      expect(answer).toMatchObject({ status: 401, body: { code: 'source.signature_invalid' } });
      expect(await inboxOf(repository.hookId)).toEqual([]);
    },
  );

  it('old timestamp: 401 where the proof carries a time, else the ledger knows the id', async () => {
    const repository = await seed();
    const age = sender.maxAgeSeconds;
    const answers = [];
    for (const seconds of age === null ? [0, 24 * 60 * 60] : [-age - 1, age + 1]) {
      const at = new Date(world.clock().getTime() + seconds * 1_000);
      const { status, body } = await repository.deliver(sender.pushes.branch, { deliveryId: 'old', at });
      answers.push([status, body?.['duplicate']]);
    }
    const refused = [401, undefined];
    const expected =
      age === null
        ? [
            [202, false],
            [202, true],
          ]
        : [refused, refused];
    expect(answers).toEqual(expected);
    expect(await inboxOf(repository.hookId)).toHaveLength(age === null ? 1 : 0);
  });

  it('replay: one row and one run, also when it comes again after it was handled', async () => {
    const repository = await seed();
    const push = sender.pushes.branch;
    hostHas(push);
    const first = await repository.deliver(push, { deliveryId: 'again' });
    await world.dispatchAll();
    const second = await repository.deliver(push, { deliveryId: 'again' });
    await world.dispatchAll();
    expect(second).toMatchObject({ status: 202, body: { id: first.body?.['id'], duplicate: true } });
    expect(await inboxOf(repository.hookId)).toHaveLength(1);
    expect(await world.runsOf(repository)).toHaveLength(1);
  });

  it('25 MB: taken in and understood; one byte more is refused, and nothing of it stays', async () => {
    const repository = await seed();
    const push = sender.pushes.branch;
    hostHas(push);
    const whole = JSON.stringify({ ...Object(push.body), filler: '' });
    const filled = whole.replace('"filler":""', `"filler":"${'x'.repeat(limits.hookBodyBytes - whole.length)}"`);
    const { headers } = deliveryOf(sender, {
      secret: repository.hookSecret,
      push,
      at: world.clock(),
      body: `${filled} `,
    });
    const declared = { ...headers, 'content-length': String(limits.hookBodyBytes + 1) };
    expect(await world.deliver(repository.hookId, { body: `${filled} `, headers: declared })).toMatchObject({
      status: 413,
      body: { code: 'request.too_large' },
    });
    expect(await inboxOf(repository.hookId)).toEqual([]);
    expect(await repository.deliver(push, { body: filled })).toMatchObject({ status: 202 });
    await world.dispatchAll();
    expect(await world.runsOf(repository)).toHaveLength(1);
  });

  it.each([
    ['no JSON', '{"ref":'],
    ['no text', '\u0000\uffff'],
    ['another shape', '[]'],
    ['nothing', ''],
  ])('garbage (%s), signed: 202, invalid with the reason, nothing started', async (_what, body) => {
    const repository = await seed();
    expect(await repository.deliver(sender.pushes.branch, { body })).toMatchObject({ status: 202 });
    await world.dispatchAll();
    expect(await world.runsOf(repository)).toEqual([]);
    expect(await inboxOf(repository.hookId)).toMatchObject([
      { state: 'handled', body: null, outcome: { kind: 'invalid', reason: expect.stringMatching(/./) }, changes: null },
    ]);
  });

  it('rotation: the old secret is taken beside the new one until its time is over', async () => {
    const { db, secretBox } = world.deps;
    const repository = await seed();
    const newSecret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
    const secretRef = await insertSecret(db, secretBox, {
      ownerId: repository.namespaceId,
      kind: 'hook',
      value: newSecret,
    });
    const previousUntil = new Date(world.clock().getTime() + 1);
    await rotateHookSecret(db, await getSourceBinding(db, repository.id), { secretRef, previousUntil });
    const statuses = async () => [
      (await repository.deliver(sender.pushes.branch)).status,
      (await repository.deliver(sender.pushes.tag, { secret: newSecret })).status,
    ];
    expect(await statuses()).toEqual([202, 202]);
    world.passTime(1);
    expect(await statuses()).toEqual([401, 202]);
  });
});
