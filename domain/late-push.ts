import type { HostRef } from './reconcile.ts';
import type { SourceChange } from './source.ts';

/** Where refs stand at their host now, by `refs/heads/…` or `refs/tags/…`; one that is asked for and not there is not on the host. */
export type HostTips = ReadonlyMap<string, Pick<HostRef, 'commit' | 'objectId'>>;

/** How a change stands against its host (docs/product.md, section 5): the newest, late, of a ref that is gone, or unknown. */
export type Standing =
  | { readonly kind: 'newest'; readonly commit: string }
  | { readonly kind: 'late'; readonly tip: string }
  | { readonly kind: 'gone' }
  | { readonly kind: 'unknown' };

/** Full name of a ref. */
export function fullRefOf({ ref, refType }: Pick<SourceChange, 'ref' | 'refType'>): string {
  return `refs/${refType === 'tag' ? 'tags' : 'heads'}/${ref}`;
}

/** Compares a change with what its host says; null: nobody asked, or the host did not answer. */
export function standingOf(change: Pick<SourceChange, 'ref' | 'refType' | 'commit'>, tips: HostTips | null): Standing {
  if (tips === null) return { kind: 'unknown' };
  const tip = tips.get(fullRefOf(change));
  if (tip === undefined) return { kind: 'gone' };
  // Some hosts report the object of an annotated tag, some the commit it names: the build is of the commit.
  const isNewest = change.commit === tip.commit || change.commit === tip.objectId;
  return isNewest ? { kind: 'newest', commit: tip.commit } : { kind: 'late', tip: tip.commit };
}

/** Whether a host may simply not have caught up with its own hook: it shows what was there before the push. */
export function mayLag(change: SourceChange, tips: HostTips): boolean {
  if (change.isDeleted) return false;
  const tip = tips.get(fullRefOf(change));
  return tip === undefined ? change.before === null : tip.commit === change.before || tip.objectId === change.before;
}
