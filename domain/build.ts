import { z } from 'zod';
import { isTag } from './image-ref.ts';
import { limits } from './limits.ts';
import { compileRegexp, isRegexpProblem } from './regexp.ts';
import type { RunSource } from './source.ts';

/** Platforms an image can be built for (docs/product.md, section 6). */
export const architectures = ['linux/amd64', 'linux/arm64', 'linux/386', 'linux/arm/v7', 'linux/arm/v6'] as const;
export type Architecture = (typeof architectures)[number];

const buildTimePattern = /^[yMdHms\-_. ]{1,20}$/;
const buildTimeFields = /yyyy|MM|dd|HH|mm|ss/g;
const reservedParameter = /^(buildkit_.*|source_date_epoch|docker_.*|.*_proxy)$/i;

const imageTagSchema = z.strictObject({
  template: z.string().min(1).max(255).nullable().default(null),
  buildTime: z
    .string()
    .regex(buildTimePattern)
    .refine(
      (format) => format.replace(buildTimeFields, '').search(/[yMdHms ]/) === -1 && format.search(buildTimeFields) >= 0,
      {
        message: 'A build time is made of yyyy, MM, dd, HH, mm, ss with - _ . between, at most 20 characters.',
      },
    )
    .nullable()
    .default(null),
  commitIdLength: z.int().min(1).max(40).nullable().default(null),
});

const buildParameterSchema = z.strictObject({
  key: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/),
  value: z.string().refine((value) => new TextEncoder().encode(value).length <= limits.buildParameterValueBytes, {
    message: 'A build parameter may hold 4 KiB.',
  }),
});

/** A path inside the checkout: no `..`, no backslash, no NUL; a leading `/` is dropped. Empty is the root. */
const insidePath = (max: number) =>
  z
    .string()
    .max(max)
    .refine((path) => !path.split('/').includes('..') && !/[\\\0]/.test(path), {
      message: 'The path must stay inside the source: no "..", no backslash.',
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
  })
  .superRefine((rule, context) => checkBuildRule(rule, context));
export type BuildRuleDefinition = z.infer<typeof buildRuleSchema>;
export type ImageTagTemplate = BuildRuleDefinition['imageTags'][number];

/** What a definition holds beyond single fields. A `params.code` names the error code the API answers with. */
function checkBuildRule(rule: BuildRuleShape, context: z.RefinementCtx): void {
  const groups = checkRefName(rule, context);
  for (const [index, tag] of rule.imageTags.entries()) {
    const path = ['imageTags', index];
    if (tag.template === null && tag.buildTime === null && tag.commitIdLength === null) {
      issue(
        context,
        path,
        'build_rule.image_tags_invalid',
        'An image tag needs a template, a build time or a commit id length.',
      );
    }
    for (const group of templateGroups(tag.template ?? '')) {
      if (groups.includes(group)) continue;
      issue(
        context,
        [...path, 'template'],
        'build_rule.unknown_group',
        `The template names the group "${group}", which the ref's regular expression does not have. Add (?<${group}>…) to it, or change the template.`,
      );
    }
  }
  const keys = rule.buildParameters.map((parameter) => parameter.key);
  for (const [index, key] of keys.entries()) {
    const path = ['buildParameters', index, 'key'];
    if (keys.indexOf(key) !== index) {
      issue(
        context,
        path,
        'build_rule.build_parameters_invalid',
        `The build parameter "${key}" stands twice. Keep one; upper and lower case differ.`,
      );
    }
    if (reservedParameter.test(key)) {
      issue(
        context,
        path,
        'build_rule.parameter_reserved',
        `"${key}" is reserved: BUILDKIT_*, SOURCE_DATE_EPOCH, DOCKER_* and *_PROXY steer the builder itself. Choose another name.`,
      );
    }
  }
  if (new Set(rule.architectures).size !== rule.architectures.length) {
    issue(context, ['architectures'], 'build_rule.architectures_invalid', 'An architecture stands twice. Keep one.');
  }
}

type BuildRuleShape = {
  readonly ref: { readonly name: string; readonly match: 'exact' | 'regexp' };
  readonly imageTags: readonly ImageTagShape[];
  readonly buildParameters: readonly { readonly key: string }[];
  readonly architectures: readonly string[];
};
type ImageTagShape = {
  readonly template: string | null;
  readonly buildTime: string | null;
  readonly commitIdLength: number | null;
};

function checkRefName(rule: BuildRuleShape, context: z.RefinementCtx): readonly string[] {
  if (rule.ref.match === 'exact') return [];
  const compiled = compileRegexp(rule.ref.name);
  if (!isRegexpProblem(compiled)) return compiled.groups;
  issue(context, ['ref', 'name'], compiled.code, compiled.message);
  return templateGroupsOfAll(rule.imageTags);
}

function templateGroupsOfAll(tags: readonly ImageTagShape[]): string[] {
  return tags.flatMap((tag) => templateGroups(tag.template ?? ''));
}

function issue(context: z.RefinementCtx, path: (string | number)[], code: string, message: string): void {
  context.addIssue({ code: 'custom', path, message, params: { code } });
}

function templateGroups(template: string): string[] {
  return [...template.matchAll(/\$\{([^}]*)\}/g)].map((match) => match[1] ?? '');
}

/** The named groups when the rule takes this ref, else undefined. A regular expression must match the whole name. */
export function buildRuleMatch(
  rule: Pick<BuildRuleDefinition, 'ref'>,
  source: Pick<RunSource, 'ref' | 'refType'>,
): Readonly<Record<string, string>> | undefined {
  if (rule.ref.type !== source.refType) return undefined;
  if (rule.ref.match === 'exact') return rule.ref.name === source.ref ? {} : undefined;
  const compiled = compileRegexp(rule.ref.name);
  return isRegexpProblem(compiled) ? undefined : compiled.match(source.ref);
}

/** The tags a build writes, or the first result that is no tag (`build.tag_invalid`). Equal results count once. */
export type ExpandedTags =
  | { readonly kind: 'tags'; readonly tags: readonly string[] }
  | { readonly kind: 'invalid'; readonly tag: string };

/**
 * Expands every image tag of a rule: template, build time (UTC+8) and commit id, those set, in this order, joined by `-`
 * (docs/product.md, section 6). Nothing is replaced silently.
 */
export function expandImageTags(
  imageTags: readonly ImageTagTemplate[],
  { groups, source }: { groups: Readonly<Record<string, string>>; source: Pick<RunSource, 'commit' | 'pushedAt'> },
): ExpandedTags {
  const tags = imageTags.map((tag) => expandImageTag(tag, groups, source));
  const invalid = tags.find((tag) => !isTag(tag));
  return invalid === undefined ? { kind: 'tags', tags: [...new Set(tags)] } : { kind: 'invalid', tag: invalid };
}

function expandImageTag(
  tag: ImageTagTemplate,
  groups: Readonly<Record<string, string>>,
  source: Pick<RunSource, 'commit' | 'pushedAt'>,
): string {
  const parts: string[] = [];
  if (tag.template !== null)
    parts.push(tag.template.replaceAll(/\$\{([^}]*)\}/g, (_, group: string) => groups[group] ?? ''));
  if (tag.buildTime !== null) parts.push(formatBuildTime(source.pushedAt, tag.buildTime));
  if (tag.commitIdLength !== null) parts.push(source.commit.slice(0, tag.commitIdLength));
  return parts.join('-');
}

/** Formats an RFC 3339 time in UTC+8 by `yyyy MM dd HH mm ss`. */
export function formatBuildTime(at: string, format: string): string {
  const local = new Date(Date.parse(at) + 8 * 60 * 60 * 1000).toISOString();
  const fields: Readonly<Record<string, string>> = {
    yyyy: local.slice(0, 4),
    MM: local.slice(5, 7),
    dd: local.slice(8, 10),
    HH: local.slice(11, 13),
    mm: local.slice(14, 16),
    ss: local.slice(17, 19),
  };
  return format.replaceAll(buildTimeFields, (field) => fields[field] ?? field);
}

/** Why the Build button is greyed, or undefined when it may be pressed (docs/product.md, section 6, "Build button"). */
export function manualBuildRefusal(rule: Pick<BuildRuleDefinition, 'ref' | 'imageTags'>): string | undefined {
  if (rule.ref.match === 'regexp') return 'its ref is a regular expression, so there is no one ref to build';
  if (rule.imageTags.some((tag) => tag.buildTime !== null))
    return 'an image tag holds the time of the source push, and there was none';
  if (rule.imageTags.some((tag) => tag.commitIdLength !== null))
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
