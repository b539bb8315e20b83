import { buildRuleMatch } from './build.ts';
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

/** The refs a rule takes, by name, numbers in their order, at most `limits.previewedRefs` of them, and how many there are. */
export function previewBuildRule(
  rule: BuildRuleDefinition,
  { refs, pushedAt }: { refs: readonly PreviewRef[]; pushedAt: string },
): { matched: number; refs: PreviewedRef[] } {
  const byName = new Intl.Collator('en', { numeric: true });
  const taken = refs
    .flatMap((each) => {
      const groups = buildRuleMatch(rule, each);
      return groups === undefined ? [] : [{ ...each, groups }];
    })
    .toSorted((a, b) => byName.compare(a.ref, b.ref));
  const shown = taken.slice(0, limits.previewedRefs).map((each) => {
    const from = { groups: each.groups, source: { ...each, pushedAt } };
    const imageTags = rule.imageTags.map((tag) => expandImageTag(tag, from));
    return { ...each, imageTags, result: expandImageTags(rule.imageTags, from) };
  });
  return { matched: taken.length, refs: shown };
}
