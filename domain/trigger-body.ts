import type { TriggerDefinition } from './trigger.ts';

/** What happened to one tag: the material of every body format. Times are RFC 3339. */
export interface ImageUpdated {
  readonly instance: string;
  readonly region: string;
  readonly namespace: string;
  readonly repository: string;
  readonly repositoryType: 'public' | 'private';
  readonly repositoryCreatedAt: string;
  readonly tag: string;
  readonly digest: string;
  readonly previousDigest: string | null;
  readonly architectures: readonly string[];
  readonly commit: string | null;
  readonly run: string | null;
  readonly sequence: number;
  readonly at: string;
}

/** The body of one delivery in the trigger's format, as the exact text that is signed and sent. */
export function triggerBody(format: TriggerDefinition['format'], update: ImageUpdated): string {
  return JSON.stringify(format === 'acr' ? acrBody(update) : standardBody(update));
}

/** Member by member, so that the text depends on nothing but the values. */
function standardBody(update: ImageUpdated) {
  const { instance, region, namespace, repository, tag, digest, previousDigest } = update;
  const { architectures, commit, run, sequence } = update;
  return {
    type: 'image.updated',
    timestamp: update.at,
    data: {
      instance,
      region,
      namespace,
      repository,
      tag,
      digest,
      previousDigest,
      architectures,
      commit,
      run,
      sequence,
    },
  };
}

function acrBody(update: ImageUpdated) {
  return {
    push_data: { digest: update.digest, pushed_at: acrTime(update.at), tag: update.tag },
    repository: {
      date_created: acrTime(update.repositoryCreatedAt),
      name: update.repository,
      namespace: update.namespace,
      region: update.region,
      repo_authentication_type: 'NO_CERTIFIED',
      repo_full_name: `${update.namespace}/${update.repository}`,
      repo_origin_type: 'NO_CERTIFIED',
      repo_type: update.repositoryType.toUpperCase(),
    },
  };
}

/** `yyyy-MM-dd HH:mm:ss` in UTC+8, as ACR writes times. */
function acrTime(at: string): string {
  return new Date(Date.parse(at) + 8 * 3_600_000).toISOString().slice(0, 19).replace('T', ' ');
}

/**
 * The body of a test message, about a tag that nobody pushed: the form `standard` says `test` as its type, so that no receiver
 * deploys it. ACR's form knows no type.
 */
export function triggerTestBody(format: TriggerDefinition['format'], update: ImageUpdated): string {
  return JSON.stringify(format === 'acr' ? acrBody(update) : { ...standardBody(update), type: 'test' });
}
