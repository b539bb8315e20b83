import { z } from 'zod';
import { buildRuleSchema } from './build.ts';
import type { BuildRuleDefinition } from './build.ts';
import { isTag } from './image-ref.ts';
import { limits } from './limits.ts';
import { translateExpression } from './docker-hub-expression.ts';

const text = z.string().max(1_024).nullish();

/** A build rule of Docker Hub's automated builds, in either of the spellings its APIs and exports use (docs/product.md, X-38). */
export const dockerHubRuleSchema = z.looseObject({
  source_type: z.string(),
  source_name: z.string().max(1_024),
  docker_tag: text,
  tag: text,
  name: text,
  dockerfile_location: text,
  dockerfile: text,
  build_context: text,
  autobuild: z.boolean().nullish(),
  nocache: z.boolean().nullish(),
  envvars: z.array(z.unknown()).nullish(),
});
export type DockerHubRule = z.infer<typeof dockerHubRuleSchema>;

/** Why one field of a rule cannot be translated. `field` is Docker Hub's name of it. */
export interface ImportProblem {
  readonly field: 'source_type' | 'source_name' | 'docker_tag' | 'dockerfile_location' | 'build_context';
  readonly code: string;
  readonly message: string;
}

/** A rule of Docker Hub as a rule of ours, with what it leaves open, or why there is none. */
export type ImportedRule =
  | { readonly kind: 'rule'; readonly definition: BuildRuleDefinition; readonly notes: readonly string[] }
  | { readonly kind: 'refused'; readonly problems: readonly ImportProblem[] };

/**
 * Translates one rule so that it takes the same branches or tags and writes the same image tags. Docker Hub searches its
 * expressions anywhere in the name, counts groups and gives them as `{\1}`; ours match the whole name and have names.
 */
export function translateDockerHubRule(rule: DockerHubRule): ImportedRule {
  const type = rule.source_type.toLowerCase();
  if (type !== 'branch' && type !== 'tag')
    return refused('source_type', `"${rule.source_type}" is neither Branch nor Tag.`);
  const tags = tagsOf(rule);
  if (tags.length === 0) return refused('docker_tag', 'The rule names no Docker tag to write.');
  if (tags.length > limits.imageTagsPerRule)
    return refused('docker_tag', `A rule writes at most ${limits.imageTagsPerRule} tags. Split it into several.`);
  const source = translateExpression(rule.source_name, tags);
  if (source.kind === 'unknown')
    return refused(
      'docker_tag',
      `"${source.placeholder}" stands for nothing the source "${rule.source_name}" captures.`,
    );
  const parsed = buildRuleSchema.safeParse({
    ref: { type, name: source.name, match: source.match },
    imageTags: source.templates.map((template) => ({ template })),
    ...placeOf(rule),
    enabled: rule.autobuild !== false,
  });
  if (!parsed.success) return { kind: 'refused', problems: problemsOf(parsed.error.issues) };
  const never = source.match === 'exact' ? source.templates.find((template) => !isTag(template)) : undefined;
  if (never !== undefined) return refused('docker_tag', `"${never}" is no image tag, so the rule would never build.`);
  return { kind: 'rule', definition: parsed.data, notes: notesOf(rule) };
}

function tagsOf(rule: DockerHubRule): string[] {
  const written = rule.docker_tag ?? rule.tag ?? rule.name ?? '';
  return written.split(',').flatMap((tag) => (tag.trim() === '' ? [] : [tag.trim()]));
}

/**
 * The Dockerfile's path is relative to the build context. Without a context, as in rules of the first automated builds, it says
 * where the Dockerfile is, and its folder is the context.
 */
function placeOf(rule: DockerHubRule): { contextDirectory: string; dockerfile: string } {
  const location = (rule.dockerfile_location ?? rule.dockerfile ?? '').trim();
  const context = (rule.build_context ?? '').trim();
  if (context !== '') return { contextDirectory: context, dockerfile: fileOf(location) };
  const parts = location.split('/').filter((part) => part !== '');
  const isFile = !location.endsWith('/') && /dockerfile/i.test(parts.at(-1) ?? '');
  const folder = isFile ? parts.slice(0, -1) : parts;
  return { contextDirectory: `/${folder.join('/')}`, dockerfile: isFile ? (parts.at(-1) ?? '') : 'Dockerfile' };
}

function fileOf(location: string): string {
  const path = location.replace(/^\/+/, '');
  return path === '' || path.endsWith('/') ? `${path}Dockerfile` : path;
}

function notesOf(rule: DockerHubRule): string[] {
  return [
    ...(rule.autobuild === false ? ['Autobuild was off, so the rule is disabled. Enable it to build by push.'] : []),
    ...(rule.nocache === true
      ? ['Building without cache is a setting of the whole repository here; it was left as it is.']
      : []),
    ...((rule.envvars ?? []).length > 0
      ? [
          'Environment variables of Docker Hub were for its hooks; add build parameters or secrets where the Dockerfile needs them.',
        ]
      : []),
  ];
}

const fieldOf: Readonly<Record<string, ImportProblem['field']>> = {
  ref: 'source_name',
  imageTags: 'docker_tag',
  contextDirectory: 'build_context',
  dockerfile: 'dockerfile_location',
};

/** One problem a field; one with a code of its own says more than a broken limit. */
function problemsOf(issues: readonly z.core.$ZodIssue[]): ImportProblem[] {
  const problems = issues.map((issue) => ({
    field: fieldOf[String(issue.path[0])] ?? 'source_name',
    code: codeOf(issue) ?? untranslatable,
    message: issue.message,
  }));
  const first = new Map(problems.map((problem) => [problem.field, problem]));
  for (const problem of problems) if (problem.code !== untranslatable) first.set(problem.field, problem);
  return [...first.values()];
}

function codeOf(issue: z.core.$ZodIssue): string | undefined {
  const code = issue.code === 'custom' ? issue.params?.['code'] : undefined;
  return typeof code === 'string' ? code : undefined;
}

const untranslatable = 'build_rule.import_untranslatable';

function refused(field: ImportProblem['field'], message: string): ImportedRule {
  return { kind: 'refused', problems: [{ field, code: untranslatable, message }] };
}
