import type { Architecture, BuildRuleDefinition } from '../../../domain/build.ts';

/** A build rule as its wizard holds it: texts as they are typed. */
export interface BuildRuleDraft {
  readonly refType: 'branch' | 'tag';
  readonly refMatch: 'exact' | 'regexp';
  readonly refName: string;
  readonly contextDirectory: string;
  readonly dockerfile: string;
  readonly include: string;
  readonly exclude: string;
  readonly imageTags: readonly ImageTagDraft[];
  readonly architectures: readonly Architecture[];
  readonly parameters: string;
  readonly secrets: string;
  readonly targetStage: string;
  readonly timeoutMinutes: string;
  readonly cron: string;
  readonly timeZone: string;
  readonly allowPartial: boolean;
  readonly onBaseImageUpdate: boolean;
  readonly enabled: boolean;
}

/** One image tag; empty texts are off. */
export interface ImageTagDraft {
  readonly template: string;
  readonly buildTime: string;
  readonly commitIdLength: string;
  /** Kept as it is; the wizard does not ask for it. */
  readonly timeZone: string | undefined;
}

/** Every architecture the wizard offers. */
export const offeredArchitectures: Record<Architecture, true> = {
  'linux/amd64': true,
  'linux/arm64': true,
  'linux/386': true,
  'linux/arm/v7': true,
  'linux/arm/v6': true,
};

export const emptyImageTag: ImageTagDraft = { template: '', buildTime: '', commitIdLength: '', timeZone: undefined };

/** A rule that works for most: `main`, `Dockerfile`, `latest`. */
export const newBuildRule: BuildRuleDraft = {
  refType: 'branch',
  refMatch: 'exact',
  refName: 'main',
  contextDirectory: '/',
  dockerfile: 'Dockerfile',
  include: '',
  exclude: '',
  imageTags: [{ ...emptyImageTag, template: 'latest' }],
  architectures: ['linux/amd64'],
  parameters: '',
  secrets: '',
  targetStage: '',
  timeoutMinutes: '60',
  cron: '',
  timeZone: 'UTC',
  allowPartial: false,
  onBaseImageUpdate: false,
  enabled: true,
};

export function draftOf(rule: BuildRuleDefinition): BuildRuleDraft {
  return {
    refType: rule.ref.type,
    refMatch: rule.ref.match,
    refName: rule.ref.name,
    contextDirectory: rule.contextDirectory,
    dockerfile: rule.dockerfile,
    include: linesOf(rule.paths?.include ?? []),
    exclude: linesOf(rule.paths?.exclude ?? []),
    imageTags: rule.imageTags.map(({ template, buildTime, commitIdLength, timeZone }) => ({
      template: template ?? '',
      buildTime: buildTime ?? '',
      commitIdLength: commitIdLength === null ? '' : String(commitIdLength),
      timeZone,
    })),
    architectures: rule.architectures,
    parameters: linesOf(rule.buildParameters.map(({ key, value }) => `${key}=${value}`)),
    secrets: linesOf(rule.secrets.map(({ id, secretRef }) => `${id}=${secretRef}`)),
    targetStage: rule.targetStage ?? '',
    timeoutMinutes: String(rule.timeoutMinutes),
    cron: rule.schedule?.cron ?? '',
    timeZone: rule.schedule?.timeZone ?? newBuildRule.timeZone,
    allowPartial: rule.allowPartial,
    onBaseImageUpdate: rule.onBaseImageUpdate,
    enabled: rule.enabled,
  };
}

/** What is sent; the API judges it and says what is wrong with which field. */
export function definitionOf(draft: BuildRuleDraft): unknown {
  const include = textsOf(draft.include);
  const exclude = textsOf(draft.exclude);
  return {
    ref: { type: draft.refType, name: draft.refName, match: draft.refMatch },
    // A directory that was picked ends in a slash, so that the next pick goes on inside it.
    contextDirectory: draft.contextDirectory.replace(/(?<=.)\/+$/, '') || '/',
    dockerfile: draft.dockerfile,
    imageTags: draft.imageTags.map(({ template, buildTime, commitIdLength, timeZone }) => ({
      template: template || null,
      buildTime: buildTime || null,
      commitIdLength: commitIdLength === '' ? null : Number(commitIdLength),
      ...(timeZone === undefined ? {} : { timeZone }),
    })),
    architectures: draft.architectures,
    buildParameters: textsOf(draft.parameters).map((line) => pairOf(line, ['key', 'value'])),
    secrets: textsOf(draft.secrets).map((line) => pairOf(line, ['id', 'secretRef'])),
    targetStage: draft.targetStage || null,
    timeoutMinutes: Number(draft.timeoutMinutes),
    schedule: draft.cron === '' ? null : { cron: draft.cron, timeZone: draft.timeZone },
    paths: include.length + exclude.length === 0 ? null : { include, exclude },
    allowPartial: draft.allowPartial,
    onBaseImageUpdate: draft.onBaseImageUpdate,
    enabled: draft.enabled,
  };
}

/** The wizard's step (0 to 2) that holds the field an error points at. */
export function stepOfPointer(pointer: string): number {
  if (/^\/(ref|contextDirectory|dockerfile|paths)/.test(pointer)) return 0;
  return pointer.startsWith('/imageTags') ? 1 : 2;
}

function linesOf(texts: readonly string[]): string {
  return texts.join('\n');
}

function textsOf(lines: string): string[] {
  return lines.split('\n').filter((line) => line.trim() !== '');
}

function pairOf(line: string, [first, second]: readonly [string, string]): Record<string, string> {
  const at = line.indexOf('=');
  return { [first]: (at === -1 ? line : line.slice(0, at)).trim(), [second]: at === -1 ? '' : line.slice(at + 1) };
}
