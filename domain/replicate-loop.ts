import { regexpMatches } from './regexp.ts';
import type { ReplicationRuleDefinition } from './replicate.ts';

/** A rule with the instance (by name) it copies from. */
export interface PlacedReplicationRule {
  readonly instance: string;
  readonly definition: ReplicationRuleDefinition;
}

/** Where images are: one repository, or with null any of a namespace. */
interface Place {
  readonly instance: string;
  readonly namespace: string;
  readonly repository: string | null;
}

/**
 * The instances a copy would pass on its way back to where the new rule takes it from, or undefined when rules stay a tree
 * (docs/product.md, section 10). `rules` are all others, of every instance. Two filters are taken to overlap.
 */
export function replicationLoop(
  rules: readonly PlacedReplicationRule[],
  added: PlacedReplicationRule,
): readonly string[] | undefined {
  const start = sourceOf(added);
  const seen = new Set<string>();
  const waiting: { place: Place; path: readonly string[] }[] = [
    { place: destinationOf(added, start), path: [added.instance] },
  ];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { place } = next;
    const path = [...next.path, place.instance];
    if (isTaken(added, place)) return path;
    const key = JSON.stringify(place);
    if (seen.has(key)) continue;
    seen.add(key);
    for (const rule of rules) if (isTaken(rule, place)) waiting.push({ place: destinationOf(rule, place), path });
  }
  return undefined;
}

function sourceOf({ instance, definition: { source } }: PlacedReplicationRule): Place {
  return { instance, namespace: source.namespace, repository: source.repository };
}

/** Whether the rule would copy images that are at `place`. */
function isTaken({ instance, definition: { level, source } }: PlacedReplicationRule, place: Place): boolean {
  if (instance !== place.instance || source.namespace !== place.namespace) return false;
  if (place.repository === null) return true;
  return level === 'repository'
    ? source.repository === place.repository
    : regexpMatches(source.repositoryFilter, place.repository);
}

/** Where images at `place` end up. At the level of a namespace the repository keeps its name. */
function destinationOf({ definition: { level, source, destination } }: PlacedReplicationRule, place: Place): Place {
  return {
    instance: destination.instance,
    namespace: destination.namespace ?? source.namespace,
    repository: level === 'repository' ? (destination.repository ?? source.repository) : place.repository,
  };
}
