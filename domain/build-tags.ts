import { z } from 'zod';
import { isTag } from './image-ref.ts';
import { parseSemanticVersion } from './semantic-version.ts';
import type { SemanticVersion } from './semantic-version.ts';
import type { RunSource } from './source.ts';
import { defaultTimeZone, timeZoneSchema } from './time-zone.ts';

const buildTimePattern = /^[yMdHms\-_. ]{1,20}$/;
const buildTimeFields = /yyyy|MM|dd|HH|mm|ss/g;
const placeholder = /\$\{([^}]*)\}/g;
const shortShaLength = 7;
const semverParts = ['raw', 'version', 'major', 'minor', 'patch'] as const;
type SemverPart = (typeof semverParts)[number];

/** One image tag of a rule: template, build time and commit id, those set, joined by `-` (docs/product.md, section 6 and X-06). */
export const imageTagSchema = z.strictObject({
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
  timeZone: timeZoneSchema.default(defaultTimeZone),
});
export type ImageTagTemplate = z.infer<typeof imageTagSchema>;

/** What a template is filled in with. `groups` are the named groups of the rule's regular expression. */
export interface TagSource {
  readonly groups: Readonly<Record<string, string>>;
  readonly source: Pick<RunSource, 'ref' | 'refType' | 'commit' | 'pushedAt'>;
}

/** What one image tag came to. `none`: its `${semver:…}` found no semantic version, so this tag is left out. */
export type ExpandedTag =
  | { readonly kind: 'tag'; readonly tag: string }
  | { readonly kind: 'none'; readonly text: string }
  | { readonly kind: 'invalid'; readonly tag: string; readonly text: string };

/** The tags a build writes, or the first result that is no tag (`build.tag_invalid`). Equal results count once. */
export type ExpandedTags =
  | { readonly kind: 'tags'; readonly tags: readonly string[] }
  | { readonly kind: 'invalid'; readonly tag: string; readonly text: string };

/** Expands every image tag of a rule (docs/product.md, section 6). A captured part is never changed to make it fit. */
export function expandImageTags(imageTags: readonly ImageTagTemplate[], from: TagSource): ExpandedTags {
  const results = imageTags.map((tag) => expandImageTag(tag, from));
  const invalid = results.find((result) => result.kind === 'invalid');
  if (invalid !== undefined) return invalid;
  const tags = new Set(results.flatMap((result) => (result.kind === 'tag' ? [result.tag] : [])));
  if (tags.size > 0) return { kind: 'tags', tags: [...tags] };
  return {
    kind: 'invalid',
    tag: '',
    text: `every image tag of the build rule takes a semantic version, and "${from.source.ref}" holds none; push a tag such as v1.2.3, or add an image tag without one`,
  };
}

/** Expands one image tag. */
export function expandImageTag(imageTag: ImageTagTemplate, from: TagSource): ExpandedTag {
  const { source } = from;
  const parts: string[] = [];
  if (imageTag.template !== null) {
    const filled = fillTemplate(imageTag.template, from);
    if (filled.kind === 'none') return filled;
    parts.push(filled.text);
  }
  if (imageTag.buildTime !== null) parts.push(formatBuildTime(source.pushedAt, imageTag.buildTime, imageTag.timeZone));
  if (imageTag.commitIdLength !== null) parts.push(source.commit.slice(0, imageTag.commitIdLength));
  const tag = parts.join('-');
  return isTag(tag) ? { kind: 'tag', tag } : { kind: 'invalid', tag, text: invalidText(tag, source.ref) };
}

function invalidText(tag: string, ref: string): string {
  return tag === ''
    ? `the image tag made for "${ref}" is empty; change the template of the build rule`
    : `the image tag "${tag.slice(0, 200)}" made for "${ref}" is not allowed; a tag has 1 to 128 letters, digits, "_", "." and "-", and starts with none of ".-"`;
}

/** A piece of a template: text as it stands, or a part of a semantic version; `version` undefined where there is none. */
type Piece =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'semver'; readonly part: SemverPart; readonly value: string; readonly version?: SemanticVersion };
type TextPiece = Extract<Piece, { kind: 'text' }>;

function fillTemplate(template: string, from: TagSource): TextPiece | Extract<ExpandedTag, { kind: 'none' }> {
  const pieces = wholePreRelease(piecesOf(template, from));
  const missing = pieces.find((piece) => piece.kind === 'semver' && piece.version === undefined);
  if (missing?.kind === 'semver')
    return { kind: 'none', text: `"${missing.value}" is no semantic version, so this image tag is left out` };
  return { kind: 'text', text: pieces.map(textOf).join('') };
}

function piecesOf(template: string, from: TagSource): Piece[] {
  return template
    .split(placeholder)
    .map((text, index) => (index % 2 === 0 ? { kind: 'text', text } : pieceOf(text, from)));
}

function pieceOf(name: string, { groups, source }: TagSource): Piece {
  const text = valueOf(name, { groups, source });
  if (text !== undefined) return { kind: 'text', text };
  const semver = semverOf(name);
  if (semver === undefined) return { kind: 'text', text: '' };
  const value = semver.group === undefined ? source.ref : (groups[semver.group] ?? '');
  const version = parseSemanticVersion(value);
  return { kind: 'semver', part: semver.part, value, ...(version === undefined ? {} : { version }) };
}

/** A named group comes first, so that a rule written before a word got a meaning keeps its own. */
function valueOf(name: string, { groups, source }: TagSource): string | undefined {
  if (Object.hasOwn(groups, name)) return groups[name];
  if (name === 'sha') return source.commit;
  if (name === 'shortSha') return source.commit.slice(0, shortShaLength);
  return name === source.refType ? plainName(source.ref) : undefined;
}

/** A ref's name as a tag may hold it: each run of other characters is a `-`, as docker/metadata-action has it. */
function plainName(ref: string): string {
  return ref.replaceAll(/[^A-Za-z0-9._-]+/g, '-');
}

function textOf(piece: Piece): string {
  if (piece.kind === 'text') return piece.text;
  return piece.part === 'raw' ? plainName(piece.value) : (piece.version?.[piece.part] ?? '');
}

/**
 * A pre-release moves no shorter tag: a template that cuts its version short holds the whole version instead, from the first
 * to the last of its parts. docker/metadata-action does the same.
 */
function wholePreRelease(pieces: readonly Piece[]): readonly Piece[] {
  const isCut = pieces.some(
    (piece) => piece.kind === 'semver' && piece.version?.isPreRelease === true && isShort(piece.part),
  );
  if (!isCut) return pieces;
  const first = pieces.findIndex(({ kind }) => kind === 'semver');
  const last = pieces.findLastIndex(({ kind }) => kind === 'semver');
  const whole = pieces.slice(first, first + 1).map((piece) => ({ ...piece, part: 'version' as const }));
  return [...pieces.slice(0, first), ...whole, ...pieces.slice(last + 1)];
}

function isShort(part: SemverPart): boolean {
  return part !== 'raw' && part !== 'version';
}

/** `semver:<part>` of the ref's name, `semver:<part>:<group>` of a named group; no group can be named so. */
function semverOf(name: string): { part: SemverPart; group: string | undefined } | undefined {
  const [word, partName, group, ...more] = name.split(':');
  const part = semverParts.find((each) => each === partName);
  return word === 'semver' && part !== undefined && more.length === 0 ? { part, group } : undefined;
}

/** The placeholders of a template that this rule cannot fill in: neither a group of its regular expression nor a word of ours. */
export function unknownPlaceholders(
  template: string,
  { groups, refType }: { groups: readonly string[]; refType: 'branch' | 'tag' },
): string[] {
  const known = [...groups, 'sha', 'shortSha', refType];
  return placeholdersOf(template).filter((name) => {
    const semver = semverOf(name);
    const isVersion = semver !== undefined && (semver.group === undefined || groups.includes(semver.group));
    return !known.includes(name) && !isVersion;
  });
}

/** Whether a template takes the commit id of the push. */
export function holdsCommitId(template: string | null): boolean {
  return placeholdersOf(template ?? '').some((name) => name === 'sha' || name === 'shortSha');
}

function placeholdersOf(template: string): string[] {
  return [...template.matchAll(placeholder)].map((match) => match[1] ?? '');
}

/** Formats an RFC 3339 time in a zone by `yyyy MM dd HH mm ss`. */
export function formatBuildTime(at: string, format: string, timeZone: string): string {
  const parts = new Intl.DateTimeFormat('en', {
    timeZone,
    calendar: 'iso8601',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  }).formatToParts(new Date(at));
  const valueOfPart = (type: Intl.DateTimeFormatPartTypes) => parts.find((part) => part.type === type)?.value ?? '';
  const fields: Readonly<Record<string, string>> = {
    yyyy: valueOfPart('year').padStart(4, '0'),
    MM: valueOfPart('month'),
    dd: valueOfPart('day'),
    HH: valueOfPart('hour'),
    mm: valueOfPart('minute'),
    ss: valueOfPart('second'),
  };
  return format.replaceAll(buildTimeFields, (field) => fields[field] ?? field);
}
