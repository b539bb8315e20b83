import { z } from 'zod';
import { pathFilterSchema } from './build-paths.ts';
import { buildScheduleSchema } from './build-schedule.ts';
import { buildSecretUseSchema } from './build-secret.ts';
import { holdsCommitId, imageTagSchema, unknownPlaceholders } from './build-tags.ts';
import type { ImageTagTemplate } from './build-tags.ts';
import { limits } from './limits.ts';
import { compileRegexp, isRegexpProblem } from './regexp.ts';
import type { RunSource } from './source.ts';

/** Platforms an image can be built for (docs/product.md, section 6). */
export const architectures = ['linux/amd64', 'linux/arm64', 'linux/386', 'linux/arm/v7', 'linux/arm/v6'] as const;
export type Architecture = (typeof architectures)[number];

const reservedParameter = /^(buildkit_.*|source_date_epoch|docker_.*|.*_proxy)$/i;

const buildParameterSchema = z.strictObject({
  key: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/),
  value: z.string().refine((value) => new TextEncoder().encode(value).length <= limits.buildParameterValueBytes, {
    message: 'A build parameter may hold 4 KiB.',
  }),
});

/** A path inside the checkout: no `..`, no backslash, no control character; a leading `/` is dropped. Empty is the root. */
const insidePath = (max: number) =>
  z
    .string()
    .max(max)
    .refine((path) => !path.split('/').includes('..') && !/[\\\p{Cc}]/u.test(path), {
      message: 'The path must stay inside the source: no "..", no backslash, no control character.',
    });

/** A build rule as a user writes it: when and how to build (docs/product.md, section 6). */
export const buildRuleSchema = z
  .strictObject({
    ref: z.strictObject({
      type: z.enum(['branch', 'tag']),
      name: z.string().min(1).max(255),
      match: z.enum(['exact', 'regexp']).default('exact'),
    }),
    contextDirectory: insidePath(1024).default('/'),
    dockerfile: insidePath(255).min(1).default('Dockerfile'),
    imageTags: z.array(imageTagSchema).min(1).max(limits.imageTagsPerRule),
    architectures: z.array(z.enum(architectures)).min(1).max(limits.architecturesPerRule).default(['linux/amd64']),
    buildParameters: z.array(buildParameterSchema).max(limits.buildParameters).default([]),
    timeoutMinutes: z.int().min(1).max(180).default(60),
    enabled: z.boolean().default(true),
    paths: pathFilterSchema.nullable().default(null),
    schedule: buildScheduleSchema.nullable().default(null),
    onBaseImageUpdate: z.boolean().default(false),
    secrets: z.array(buildSecretUseSchema).max(limits.buildSecrets).default([]),
    targetStage: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/)
      .nullable()
      .default(null),
    allowPartial: z.boolean().default(false),
  })
  .superRefine((rule, context) => checkBuildRule(rule, context));
export type BuildRuleDefinition = z.infer<typeof buildRuleSchema>;

/** What a definition holds beyond single fields. A `params.code` names the error code the API answers with. */
function checkBuildRule(rule: BuildRuleShape, context: z.RefinementCtx): void {
  const groups = checkRefName(rule, context);
  for (const [index, tag] of rule.imageTags.entries()) checkImageTag(rule, { index, tag, groups, context });
  for (const [index, { key }] of rule.buildParameters.entries()) checkBuildParameter(rule, { index, key, context });
  if (new Set(rule.architectures).size !== rule.architectures.length) {
    issue(context, ['architectures'], 'build_rule.architectures_invalid', 'An architecture stands twice. Keep one.');
  }
  checkStarts(rule, context);
  for (const [index, { id }] of rule.secrets.entries()) {
    if (rule.secrets.findIndex((secret) => secret.id === id) === index) continue;
    issue(
      context,
      ['secrets', index, 'id'],
      'build_rule.secrets_invalid',
      `The secret id "${id}" stands twice. Keep one.`,
    );
  }
}

interface BuildRuleShape {
  readonly ref: BuildRuleRef;
  readonly imageTags: readonly ImageTagTemplate[];
  readonly buildParameters: readonly { readonly key: string }[];
  readonly architectures: readonly string[];
  readonly paths: unknown;
  readonly schedule: unknown;
  readonly secrets: readonly { readonly id: string }[];
}
interface BuildRuleRef {
  readonly type: 'branch' | 'tag';
  readonly name: string;
  readonly match: 'exact' | 'regexp';
}

/** The groups a template may name; undefined where the regular expression itself is wrong and says nothing of its groups. */
function checkRefName({ ref }: BuildRuleShape, context: z.RefinementCtx): readonly string[] | undefined {
  if (ref.match === 'exact') return [];
  const compiled = compileRegexp(ref.name);
  if (!isRegexpProblem(compiled)) return compiled.groups;
  issue(context, ['ref', 'name'], compiled.code, compiled.message);
  return undefined;
}

function checkImageTag(
  { ref }: BuildRuleShape,
  {
    index,
    tag,
    groups,
    context,
  }: { index: number; tag: ImageTagTemplate; groups: readonly string[] | undefined; context: z.RefinementCtx },
): void {
  const path = ['imageTags', index];
  if (tag.template === null && tag.buildTime === null && tag.commitIdLength === null) {
    issue(
      context,
      path,
      'build_rule.image_tags_invalid',
      'An image tag needs a template, a build time or a commit id length.',
    );
  }
  if (groups === undefined) return;
  for (const name of unknownPlaceholders(tag.template ?? '', { groups, refType: ref.type })) {
    issue(
      context,
      [...path, 'template'],
      'build_rule.unknown_group',
      `The template names "${name}", which is neither a group of the ref's regular expression nor one of \${${ref.type}}, \${sha}, \${shortSha}, \${semver:version}. Add (?<${name}>…) to the expression, or change the template.`,
    );
  }
}

function checkBuildParameter(
  { buildParameters }: BuildRuleShape,
  { index, key, context }: { index: number; key: string; context: z.RefinementCtx },
): void {
  const path = ['buildParameters', index, 'key'];
  if (buildParameters.findIndex((parameter) => parameter.key === key) !== index) {
    issue(
      context,
      path,
      'build_rule.build_parameters_invalid',
      `The build parameter "${key}" stands twice. Keep one; upper and lower case differ.`,
    );
  }
  if (!reservedParameter.test(key)) return;
  issue(
    context,
    path,
    'build_rule.parameter_reserved',
    `"${key}" is reserved: BUILDKIT_*, SOURCE_DATE_EPOCH, DOCKER_* and *_PROXY steer the builder itself. Choose another name.`,
  );
}

/** A schedule must know which ref to build, and no host says which files a git tag changed. */
function checkStarts({ ref, paths, schedule }: BuildRuleShape, context: z.RefinementCtx): void {
  if (paths !== null && ref.type === 'tag') {
    issue(
      context,
      ['paths'],
      'build_rule.paths_invalid',
      'A git tag changes no files, so a path filter has nothing to look at. Leave "paths" out, or make it a branch rule.',
    );
  }
  if (schedule !== null && ref.match === 'regexp') {
    issue(
      context,
      ['schedule'],
      'build_rule.schedule_invalid',
      'A schedule builds one ref, and a regular expression does not say which. Make "ref" exact, or leave "schedule" out.',
    );
  }
}

function issue(context: z.RefinementCtx, path: (string | number)[], code: string, message: string): void {
  context.addIssue({ code: 'custom', path, message, params: { code } });
}

type RefOfRule = Pick<BuildRuleDefinition, 'ref'>;
type MatchedRef = Pick<RunSource, 'ref' | 'refType'>;

/** The named groups when the rule takes this ref, else undefined. A regular expression must match the whole name. */
export function buildRuleMatch(rule: RefOfRule, source: MatchedRef): Readonly<Record<string, string>> | undefined {
  return rule.ref.type === source.refType ? nameMatcher(rule.ref)(source.ref) : undefined;
}

/** The same for many refs: the expression is compiled once. */
export function buildRuleMatcher({
  ref,
}: RefOfRule): (source: MatchedRef) => Readonly<Record<string, string>> | undefined {
  const matchName = nameMatcher(ref);
  return (source) => (ref.type === source.refType ? matchName(source.ref) : undefined);
}

function nameMatcher({ name, match }: BuildRuleRef): (ref: string) => Readonly<Record<string, string>> | undefined {
  if (match === 'exact') return (ref) => (ref === name ? {} : undefined);
  const compiled = compileRegexp(name);
  return isRegexpProblem(compiled) ? () => undefined : (ref) => compiled.match(ref);
}

/** Why the Build button is greyed, or undefined when it may be pressed (docs/product.md, section 6, "Build button"). */
export function manualBuildRefusal(rule: Pick<BuildRuleDefinition, 'ref' | 'imageTags'>): string | undefined {
  if (rule.ref.match === 'regexp') return 'its ref is a regular expression, so there is no one ref to build';
  if (rule.imageTags.some((tag) => tag.buildTime !== null))
    return 'an image tag holds the time of the source push, and there was none';
  if (rule.imageTags.some((tag) => tag.commitIdLength !== null || holdsCommitId(tag.template)))
    return 'an image tag holds the commit id of the source push, and there was none';
  return undefined;
}

/** One architecture's image of a build. Digests name manifests, sizes are the manifest's own bytes. */
export interface PlatformImage {
  /** One of `architectures` where Slipway built it; `windows/amd64` and the like in an image from elsewhere. */
  readonly platform: string;
  readonly digest: string;
  readonly mediaType: string;
  readonly sizeBytes: number;
}
