import type { BuildRuleDefinition } from './build.ts';
import { expandImageTag, expandImageTags } from './build-tags.ts';
import type { ExpandedTag, ExpandedTags } from './build-tags.ts';
import { limits } from './limits.ts';

/** A branch or tag a rule is tried on. */
export interface PreviewRef {
  readonly ref: string;
  readonly refType: 'branch' | 'tag';
  readonly commit: string;
}

/** What a rule would do with one ref: the groups, each image tag, and what the build would write. */
export interface PreviewedRef extends PreviewRef {
  readonly groups: Readonly<Record<string, string>>;
  readonly imageTags: readonly ExpandedTag[];
  readonly result: ExpandedTags;
}

/** A ref the rule takes, with the named groups. */
export type TakenRef = PreviewRef & Pick<PreviewedRef, 'groups'>;

/** Those of some refs that a matcher of `buildRuleMatcher` takes. */
export function takenRefs(
  match: (ref: PreviewRef) => TakenRef['groups'] | undefined,
  refs: readonly PreviewRef[],
): TakenRef[] {
  return refs.flatMap((each) => {
    const groups = match(each);
    return groups === undefined ? [] : [{ ...each, groups }];
  });
}

/** What a rule makes of the refs it takes: by name, numbers in their order, at most `limits.previewedRefs`. */
export function previewRefs(
  { imageTags }: Pick<BuildRuleDefinition, 'imageTags'>,
  { taken, pushedAt }: { taken: readonly TakenRef[]; pushedAt: string },
): PreviewedRef[] {
  const byName = new Intl.Collator('en', { numeric: true });
  const shown = taken.toSorted((a, b) => byName.compare(a.ref, b.ref)).slice(0, limits.previewedRefs);
  return shown.map((each) => {
    const from = { groups: each.groups, source: { ...each, pushedAt } };
    const expanded = imageTags.map((tag) => expandImageTag(tag, from));
    return { ...each, imageTags: expanded, result: expandImageTags(imageTags, from) };
  });
}
