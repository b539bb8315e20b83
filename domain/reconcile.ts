import type { RunSource } from './source.ts';

/** A branch or tag as its host has it now. */
export interface HostRef extends Pick<RunSource, 'ref' | 'refType' | 'commit'> {
  /** What the ref itself holds: of an annotated tag the tag's own object, which some hosts report, else the commit. */
  readonly objectId: string;
}

/** A ref as last seen; `tip` is null after it was deleted. */
export interface SeenRef extends Pick<RunSource, 'ref' | 'refType'> {
  readonly tip: string | null;
  readonly orderNo: number;
}

/** What the comparison found of one ref that differs. `orderNo` is of the ref as last seen, 0 for one never seen. */
export interface DifferingRef extends Pick<RunSource, 'ref' | 'refType' | 'commit'> {
  readonly before: string | null;
  readonly orderNo: number;
}

export interface Comparison {
  /** Pushed without anybody telling, and to be built. */
  readonly missed: readonly DifferingRef[];
  /** To be taken note of only: nothing builds them, or they were there before the source was first compared. */
  readonly noted: readonly DifferingRef[];
  /** No longer on the host. */
  readonly gone: readonly SeenRef[];
}

export interface CompareOptions {
  readonly seen: readonly SeenRef[];
  readonly now: readonly HostRef[];
  /** Compared for the first time since it was bound: what nobody has told of yet was there before. */
  readonly isFirst: boolean;
  /** Whether a push of this ref would be built. */
  readonly isBuilt: (ref: Pick<RunSource, 'ref' | 'refType'>) => boolean;
}

/** Compares the refs of a source with what was seen of them (docs/product.md, section 5, "What starts what"). */
export function compareRefs({ seen, now, isFirst, isBuilt }: CompareOptions): Comparison {
  const known = new Map(seen.map((ref) => [keyOf(ref), ref]));
  const missed: DifferingRef[] = [];
  const noted: DifferingRef[] = [];
  for (const { ref, refType, commit, objectId } of now) {
    const { tip = null, orderNo = 0 } = known.get(keyOf({ ref, refType })) ?? {};
    if (tip === commit || tip === objectId) continue;
    const wasThere = isFirst && tip === null;
    (!wasThere && isBuilt({ ref, refType }) ? missed : noted).push({ ref, refType, commit, before: tip, orderNo });
  }
  return { missed, noted, gone: goneRefs(seen, now) };
}

/** A source that answers with no ref at all is taken for one in trouble, not for one whose every branch was deleted. */
function goneRefs(seen: readonly SeenRef[], now: readonly HostRef[]): readonly SeenRef[] {
  if (now.length === 0) return [];
  const there = new Set(now.map(keyOf));
  return seen.filter((ref) => ref.tip !== null && !there.has(keyOf(ref)));
}

function keyOf({ ref, refType }: Pick<RunSource, 'ref' | 'refType'>): string {
  return `${refType}/${ref}`;
}

/** One attempt of a delivery as its host remembers it; the newest first, one delivery may have several. */
export interface KeptDelivery {
  readonly id: string;
  readonly deliveryId: string;
  readonly event: string;
  readonly isDelivered: boolean;
}

/** After so many attempts a delivery is not asked for again. */
const deliveryAttempts = 3;

/** The attempts to ask for once more, the oldest first: of pushes that never arrived and were not tried often yet. */
export function deliveriesToAskFor(
  kept: readonly KeptDelivery[],
  { known }: { readonly known: ReadonlySet<string> },
): readonly string[] {
  const attempts = Map.groupBy(kept, ({ deliveryId }) => deliveryId);
  return [...attempts]
    .filter(
      ([deliveryId, each]) =>
        !known.has(deliveryId) && each.length < deliveryAttempts && each.every((one) => !one.isDelivered),
    )
    .flatMap(([, each]) => each.slice(0, 1))
    .filter(({ event }) => event === 'push')
    .map(({ id }) => id)
    .toReversed();
}
