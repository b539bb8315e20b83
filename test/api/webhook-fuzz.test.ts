import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sourceHosts } from '../../api/source-hosts/index.ts';
import { createInboxWorld } from '../support/inbox-world.ts';
import type { InboxWorld } from '../support/inbox-world.ts';
import { seedBuildRule, seedRepository } from '../support/seed.ts';
import { deliveryOf } from '../support/source-sender.ts';
import { sourceSenders } from '../support/source-senders.ts';

let world: InboxWorld;
beforeAll(async () => {
  world = await createInboxWorld();
});
afterAll(() => world.close());

/** Header values a client can send at all. */
const headerValue = fc.string({ unit: fc.integer({ min: 32, max: 126 }).map((code) => String.fromCharCode(code)) });
const headerNames = [
  ...new Set(
    sourceSenders.flatMap(([, sender]) =>
      Object.keys(sender.headers({ secret: 'whsec_eA==', event: '', body: '', deliveryId: '', at: new Date(0) })),
    ),
  ),
  'content-encoding',
  'content-length',
  'x-forwarded-for',
];
const headers = fc.dictionary(fc.constantFrom(...headerNames), headerValue, { maxKeys: 8 });

/** Values where payloads have names, ids, lists and objects: the right kind, the wrong kind, and what hurts. */
const hostile = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    '',
    0,
    -1,
    1e308,
    [],
    {},
    'refs/heads/',
    'refs/heads/../x',
    'refs/tags/a\u0000b',
    '-rf',
    '0'.repeat(40),
    'f'.repeat(64),
    '\ud800',
    '__proto__',
    'x'.repeat(5_000),
  ),
  fc.jsonValue({ maxDepth: 3 }),
);

/** A payload with some of its values replaced, wherever they stand. */
function mutated(value: unknown, draw: () => unknown): unknown {
  const next = draw();
  if (next !== keep) return next;
  if (Array.isArray(value)) return value.map((item) => mutated(item, draw));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mutated(item, draw)]));
}
const keep = Symbol('keep');

describe.each(sourceSenders)('%s', (_name, sender) => {
  it('refuses whatever is not signed, whatever it is, and stores nothing of it', async () => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox, { host: sender.host });
    await fc.assert(
      fc.asyncProperty(headers, fc.uint8Array({ maxLength: 2_000 }), fc.boolean(), async (sent, body, isKnown) => {
        const response = await world.app.request(`/hooks/${isKnown ? repository.hookId : 'f'.repeat(32)}`, {
          method: 'POST',
          headers: sent,
          body,
        });
        expect([400, 401, 413]).toContain(response.status);
      }),
      { numRuns: 60 },
    );
    expect(
      await world.deps.db.selectFrom('inbox').select('id').where('hook_id', '=', repository.hookId).execute(),
    ).toEqual([]);
  });

  it('reads whatever is signed without failing, and acts on clean names and commits alone', () => {
    const pushes = Object.values(sender.pushes).filter((push) => push !== null);
    const bound = { codeNamespace: 'acme', codeRepository: 'app' };
    fc.assert(
      fc.property(fc.constantFrom(...pushes), fc.gen(), ({ event, body }, generate) => {
        const draw = () => (generate(fc.integer, { min: 0, max: 11 }) === 0 ? generate(() => hostile) : keep);
        const bytes = Buffer.from(JSON.stringify(mutated(body, draw)) ?? '');
        const parsed = sourceHosts[sender.host].parse(event, bytes, bound);
        if (parsed.kind !== 'changes') return;
        expect(parsed.changes.length).toBeGreaterThan(0);
        for (const { ref, commit, before, message, isDeleted } of parsed.changes) {
          expect(ref).toMatch(/^(?!-)[^\0-\x20\x7f~^:?*[\\]{1,255}$/u);
          expect(ref.split('/')).not.toContain('..');
          expect(isDeleted).toBe(commit === null);
          for (const id of [commit, before]) expect(id ?? '0'.repeat(40)).toMatch(/^[0-9a-f]{40}([0-9a-f]{24})?$/);
          expect(message ?? '').not.toContain('\0');
        }
      }),
      { numRuns: 300 },
    );
  });

  it('leaves one outcome for whatever is signed: none is tried twice, none stays', async () => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox, { host: sender.host });
    await seedBuildRule(world.deps.db, repository.id, {
      ref: { type: 'branch', name: '.*', match: 'regexp' },
      imageTags: [{ template: 'fuzz' }],
    });
    world.sourceTips.read.mockResolvedValue(new Map());
    const pushes = Object.values(sender.pushes).filter((push) => push !== null);
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...pushes), fc.gen(), async (push, generate) => {
        const draw = () => (generate(fc.integer, { min: 0, max: 11 }) === 0 ? generate(() => hostile) : keep);
        const body = JSON.stringify(mutated(push.body, draw)) ?? '';
        const sent = deliveryOf(sender, { secret: repository.hookSecret, push, at: world.clock(), body });
        expect((await world.deliver(repository.hookId, sent)).status).toBe(202);
      }),
      { numRuns: 25 },
    );
    await world.dispatchAll();
    const rows = await world.deps.db
      .selectFrom('inbox')
      .select(['state', 'attempts', 'body'])
      .where('hook_id', '=', repository.hookId)
      .execute();
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.every(({ state, attempts, body }) => state === 'handled' && attempts === 0 && body === null)).toBe(
      true,
    );
  });
});
