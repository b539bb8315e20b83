import { z } from 'zod';
import { limits } from './limits.ts';
import { compileRegexp, isRegexpProblem, regexpMatches } from './regexp.ts';

/** A regular expression field: RE2 syntax, checked when saved. */
export const regexpField = z
  .string()
  .min(1)
  .superRefine((pattern, context) => {
    const compiled = compileRegexp(pattern);
    if (isRegexpProblem(compiled))
      context.addIssue({ code: 'custom', message: compiled.message, params: { code: compiled.code } });
  });

/** A replication rule as a user writes it: what is copied where (docs/product.md, section 10). */
export const replicationRuleSchema = z
  .strictObject({
    name: z.string().min(1).max(64),
    level: z.enum(['namespace', 'repository']),
    source: z.strictObject({
      namespace: z.string().min(1),
      repository: z.string().min(1).nullable().default(null),
      repositoryFilter: regexpField.default('.*'),
      tagFilter: regexpField.default('.*'),
    }),
    destination: z.strictObject({
      region: z.string().min(1),
      instance: z.string().min(1),
      namespace: z.string().min(1).nullable().default(null),
      repository: z.string().min(1).nullable().default(null),
    }),
    start: z.enum(['automatic', 'manual']).default('automatic'),
    override: z.boolean().default(true),
    bandwidth: z.int().min(0).max(limits.checkoutBytes).default(0),
    enabled: z.boolean().default(true),
  })
  .superRefine((rule, context) => {
    if ((rule.level === 'repository') === (rule.source.repository !== null)) return;
    context.addIssue({
      code: 'custom',
      path: ['source', 'repository'],
      message:
        rule.level === 'repository'
          ? 'At the level "repository" the source repository must be named.'
          : 'At the level "namespace" no source repository may be named; use repositoryFilter to choose some.',
      params: { code: 'replication.source_incomplete' },
    });
  });
export type ReplicationRuleDefinition = z.infer<typeof replicationRuleSchema>;

/** A rule as a run keeps it. Names of instances, never credentials. */
export interface ReplicationRuleSnapshot {
  readonly id: string;
  readonly definition: ReplicationRuleDefinition;
}

/** Where one tag of a run goes. `key` is the child's key on the Record: `instance/namespace/repository:tag`. */
export interface ReplicationTarget {
  readonly key: string;
  readonly ruleId: string;
  readonly instance: string;
  readonly namespace: string;
  readonly repository: string;
  readonly tag: string;
  readonly isOverrideAllowed: boolean;
  readonly bandwidthKiBs: number;
}

/** Whether the rule takes this repository: by name, or at its level by the repository filter. */
export function replicationCovers(
  rule: ReplicationRuleDefinition,
  repository: { namespace: string; name: string },
): boolean {
  if (rule.source.namespace !== repository.namespace) return false;
  if (rule.level === 'repository') return rule.source.repository === repository.name;
  return regexpMatches(rule.source.repositoryFilter, repository.name);
}

/** The copies the automatic rules of a run make of its tags, in rule order. Equal destinations count once. */
export function replicationTargets(
  rules: readonly ReplicationRuleSnapshot[],
  { repository, tags }: { repository: { namespace: string; name: string }; tags: readonly string[] },
): readonly ReplicationTarget[] {
  const targets = new Map<string, ReplicationTarget>();
  for (const { id, definition } of rules) {
    if (!definition.enabled || definition.start !== 'automatic' || !replicationCovers(definition, repository)) continue;
    const namespace = definition.destination.namespace ?? repository.namespace;
    const name = (definition.level === 'repository' ? definition.destination.repository : null) ?? repository.name;
    for (const tag of tags.filter((each) => regexpMatches(definition.source.tagFilter, each))) {
      const key = `${definition.destination.instance}/${namespace}/${name}:${tag}`;
      if (targets.has(key)) continue;
      targets.set(key, {
        key,
        ruleId: id,
        instance: definition.destination.instance,
        namespace,
        repository: name,
        tag,
        isOverrideAllowed: definition.override,
        bandwidthKiBs: definition.bandwidth,
      });
    }
  }
  return [...targets.values()];
}
