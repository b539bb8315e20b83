import { describe, expect, test } from 'vitest';
import { compareRefs, deliveriesToAskFor } from '../../domain/reconcile.ts';
import type { HostRef, KeptDelivery, SeenRef } from '../../domain/reconcile.ts';

const [a, b, c] = ['a'.repeat(40), 'b'.repeat(40), 'c'.repeat(40)] as const;
const branch = (ref: string, commit: string): HostRef => ({ ref, refType: 'branch', commit, objectId: commit });
const seen = (ref: string, tip: string | null, orderNo = 7): SeenRef => ({ ref, refType: 'branch', tip, orderNo });
const isBuilt = () => true;

describe('comparing the refs of a source with what was seen', () => {
  test('what is as it was seen differs in nothing', () => {
    const found = compareRefs({ seen: [seen('main', a)], now: [branch('main', a)], isFirst: false, isBuilt });
    expect(found).toEqual({ missed: [], noted: [], gone: [] });
  });

  test('a branch that moved and one nobody told of were missed', () => {
    const now = [branch('main', b), branch('new', c)];
    expect(compareRefs({ seen: [seen('main', a)], now, isFirst: false, isBuilt }).missed).toEqual([
      { ref: 'main', refType: 'branch', commit: b, before: a, orderNo: 7 },
      { ref: 'new', refType: 'branch', commit: c, before: null, orderNo: 0 },
    ]);
  });

  test('a ref that nothing builds is only taken note of', () => {
    const now = [branch('docs', b)];
    const found = compareRefs({ seen: [], now, isFirst: false, isBuilt: ({ ref }) => ref === 'main' });
    expect(found.missed).toEqual([]);
    expect(found.noted.map(({ ref }) => ref)).toEqual(['docs']);
  });

  test('the first time, what nobody told of was there before; what was told of and moved since was missed', () => {
    const now = [branch('old', a), branch('main', b)];
    const found = compareRefs({ seen: [seen('main', a)], now, isFirst: true, isBuilt });
    expect(found.noted.map(({ ref }) => ref)).toEqual(['old']);
    expect(found.missed.map(({ ref }) => ref)).toEqual(['main']);
  });

  test('a branch and a tag of one name are two refs', () => {
    const tag: HostRef = { ref: 'v1', refType: 'tag', commit: b, objectId: b };
    const found = compareRefs({ seen: [seen('v1', a)], now: [branch('v1', a), tag], isFirst: false, isBuilt });
    expect(found.missed.map(({ refType }) => refType)).toEqual(['tag']);
  });

  test('an annotated tag is the same whether its own object or the commit it names was told', () => {
    const tag: HostRef = { ref: 'v1', refType: 'tag', commit: a, objectId: b };
    for (const tip of [a, b]) {
      const found = compareRefs({
        seen: [{ ref: 'v1', refType: 'tag', tip, orderNo: 1 }],
        now: [tag],
        isFirst: false,
        isBuilt,
      });
      expect(found.missed).toEqual([]);
    }
  });

  test('a deleted ref is gone once, and missed when it comes back', () => {
    const now = [branch('main', a)];
    const refs = [seen('main', a), seen('gone', b), seen('long-gone', null)];
    expect(compareRefs({ seen: refs, now, isFirst: false, isBuilt }).gone).toEqual([seen('gone', b)]);
    const back = compareRefs({ seen: refs, now: [...now, branch('long-gone', c)], isFirst: false, isBuilt });
    expect(back.missed.map(({ ref, orderNo }) => [ref, orderNo])).toEqual([['long-gone', 7]]);
  });

  test('a source that answers with no ref at all has lost none', () => {
    expect(compareRefs({ seen: [seen('main', a)], now: [], isFirst: false, isBuilt }).gone).toEqual([]);
  });
});

describe('asking a host for deliveries once more', () => {
  const attempt = (id: string, deliveryId: string, change: Partial<KeptDelivery> = {}): KeptDelivery => ({
    ...{ id, deliveryId, event: 'push', isDelivered: false },
    ...change,
  });
  const known = new Set(['taken']);

  test.each([
    ['a push that never arrived', [attempt('1', 'lost')], ['1']],
    ['the newest of two attempts', [attempt('2', 'lost'), attempt('1', 'lost')], ['2']],
    ['the older push first', [attempt('2', 'later'), attempt('1', 'earlier')], ['1', '2']],
    ['nothing that arrived at the second attempt', [attempt('2', 'a', { isDelivered: true }), attempt('1', 'a')], []],
    ['nothing that was taken though the answer was lost', [attempt('1', 'taken')], []],
    ['nothing that was tried three times', [attempt('3', 'a'), attempt('2', 'a'), attempt('1', 'a')], []],
    ['nothing but pushes', [attempt('1', 'a', { event: 'ping' })], []],
  ])('asks for %s', (_, kept, asked) => {
    expect(deliveriesToAskFor(kept, { known })).toEqual(asked);
  });
});
