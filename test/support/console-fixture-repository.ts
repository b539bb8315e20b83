import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Build, BuildRule, Repository, RulePreview } from '../../console/src/api-build.ts';
import { buildRuleSchema, manualBuildRefusal } from '../../domain/build.ts';
import { expandImageTags } from '../../domain/build-tags.ts';
import { compileRegexp, isRegexpProblem } from '../../domain/regexp.ts';
import { at } from './console-fixture-steps.ts';
import { sendJson, sendProblem } from './console-fixture-http.ts';
import { answerAccount, answerAccounts, answerSource, createSources } from './console-fixture-source.ts';
import type { SourceCall, Sources } from './console-fixture-source.ts';

/** The repositories of the stand-in, with rules that can be made and changed. */
export interface Repositories {
  readonly all: Map<string, Repository>;
  readonly rules: Map<string, BuildRule>;
  readonly builds: readonly Build[];
  readonly sources: Sources;
}

const commit = 'd4ef3dc3b77a011a5779eec7efdd45a8c0b2f6e1';
const branches = ['main', 'develop', 'release-v1', 'release-v2.1'];

export function createRepositories(): Repositories {
  const base = {
    instance: 'hangzhou',
    namespace: 'shop',
    type: 'private',
    tagImmutability: false,
    description: '',
    buildSettings: { autoBuild: true, buildRegion: null, noCache: false },
  } as const;
  const web: Repository = {
    ...base,
    id: 'crr-web',
    name: 'web',
    summary: 'The shop window <b>bold</b>',
    codeSource: { codeNamespace: 'acme', codeRepository: 'shop' },
  };
  const tools: Repository = { ...base, id: 'crr-tools', name: 'tools', summary: '', codeSource: null };
  const rules = [
    ruleOf('crbr-main', { ref: { type: 'branch', name: 'main' }, imageTags: [{ template: 'latest' }] }),
    ruleOf('crbr-nightly', {
      ref: { type: 'branch', name: 'nightly' },
      imageTags: [{ template: 'nightly' }],
      schedule: { cron: '0 3 * * *' },
    }),
    ruleOf('crbr-release', {
      ref: { type: 'branch', name: 'release-(?<imageTag>.*)', match: 'regexp' },
      imageTags: [{ template: '${imageTag}', buildTime: 'yyyyMMddHHmm', commitIdLength: 6 }],
      architectures: ['linux/amd64', 'linux/arm64'],
    }),
  ];
  return {
    all: new Map([web, tools].map((each) => [each.id, each])),
    sources: createSources(),
    rules: new Map(rules.map((rule) => [rule.id, rule])),
    builds: [
      buildOf('build-run-running', { status: 'building', startedAt: at(46), endedAt: null, run: 'run-running' }),
      buildOf('build-pending', { status: 'pending', startedAt: null, endedAt: null, queuePlace: { place: 3, of: 12 } }),
      buildOf('build-run-partial', { status: 'success', partial: true, run: 'run-partial' }),
      buildOf('build-run-failed', {
        status: 'failed',
        reason: { code: 'build.dockerfile_error', params: {}, text: 'Dockerfile line 12 RUN npm ci, exit 1' },
        run: 'run-failed',
      }),
    ],
  };
}

function ruleOf(id: string, written: unknown, version = 1): BuildRule {
  const rule = buildRuleSchema.parse(written);
  const refusal = manualBuildRefusal(rule) ?? null;
  const manual = { isManualBuildAllowed: refusal === null, manualBuildRefusal: refusal };
  return { ...rule, id, version, ...manual, lastAutomaticStart: rule.schedule === null ? null : missedStart };
}

/** What the clock could not start. */
const missedStart = {
  cause: 'schedule',
  at: at(3_600),
  ref: 'nightly',
  outcome: 'not_started',
  run: null,
  reason: { code: 'source.ref_not_found', params: {}, text: 'The source has no branch "nightly" now.' },
} as const;

function buildOf(id: string, part: Partial<Build>): Build {
  return {
    id,
    cause: 'source_push',
    ref: 'main',
    refType: 'branch',
    commit,
    message: 'Serve the catalogue from the edge cache',
    imageTags: ['v1.4.0-d4ef3d', 'latest'],
    status: 'success',
    partial: false,
    queuePlace: null,
    architectures: [{ platform: 'linux/amd64' }, { platform: 'linux/arm64' }],
    queuedAt: at(1_200),
    startedAt: at(1_199),
    endedAt: at(1_100),
    reason: null,
    run: null,
    ...part,
  };
}

/** What stands below `/repositories`, `/build-rules`, `/source-accounts` and `/instances/<id>/source-accounts`. */
export function answerRepository(
  repositories: Repositories,
  request: IncomingMessage,
  response: ServerResponse,
  { thing, ...call }: Omit<SourceCall, 'method' | 'body'> & { readonly thing: string },
): void {
  let text = '';
  request.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
  request.on('end', () => {
    const body: unknown = text === '' ? {} : JSON.parse(text);
    const whole = { ...call, body, method: request.method ?? 'GET' };
    if (thing === 'instances') answerAccounts(repositories.sources, response, whole);
    else if (thing === 'source-accounts') answerAccount(repositories.sources, response, whole);
    else if (thing === 'repositories') answerOne(repositories, response, whole);
    else answerRule(repositories, response, whole);
  });
}

function answerOne(repositories: Repositories, response: ServerResponse, call: SourceCall): void {
  const { all, rules, builds, sources } = repositories;
  const { id, act, method, body } = call;
  if (id === '') return sendJson(response, 200, { items: [...all.values()], nextCursor: null });
  const repository = all.get(id);
  if (repository === undefined) {
    return sendProblem(response, 404, 'repository.not_found', `There is no repository "${id}". Check the id.`);
  }
  if (act === 'builds') return sendJson(response, 200, { items: builds, nextCursor: null });
  if (act === 'build-cache') {
    const cache = { branch: 'main', platform: 'linux/amd64', sizeBytes: 48_300_000, lastUsedAt: at(1_100) };
    return sendJson(response, 200, { items: [{ ...cache, steps: 90, cachedSteps: 71 }], nextCursor: null });
  }
  if (act.startsWith('source-')) {
    answerSource(sources, response, call);
    all.set(id, { ...repository, codeSource: sources.bindings.get(id) ?? null });
    return undefined;
  }
  if (act === 'build-rules' && method === 'GET') {
    return sendJson(response, 200, { items: [...rules.values()], nextCursor: null });
  }
  if (act === 'build-rules') return saveRule(rules, response, { id: `crbr-${rules.size + 1}`, body });
  if (method !== 'PUT') return sendJson(response, 200, repository);
  const changed: Repository = Object.assign({ ...repository }, body);
  all.set(id, changed);
  return sendJson(response, 200, changed);
}

function answerRule({ rules }: Repositories, response: ServerResponse, { id, act, method, body }: SourceCall): void {
  if (id === 'preview') return answerPreview(response, body);
  if (act === 'builds') return sendJson(response, 202, {});
  if (method === 'PUT') return saveRule(rules, response, { id, body });
  rules.delete(id);
  response.writeHead(204).end();
  return undefined;
}

function saveRule(
  rules: Map<string, BuildRule>,
  response: ServerResponse,
  { id, body }: { id: string; body: unknown },
): void {
  const problem = problemOf(body, '');
  if (problem !== undefined) return sendProblem(response, 422, 'request.invalid', 'Some fields are wrong.', problem);
  rules.set(id, ruleOf(id, body, (rules.get(id)?.version ?? 0) + 1));
  return sendJson(response, 200, rules.get(id));
}

function problemOf(written: unknown, before: string) {
  const parsed = buildRuleSchema.safeParse(written);
  return parsed.error?.issues.map(({ path, message }) => ({
    pointer: `${before}/${path.join('/')}`,
    code: 'build_rule.invalid',
    message,
  }));
}

/** As the server previews, on four branches. */
function answerPreview(response: ServerResponse, body: unknown): void {
  const written = typeof body === 'object' && body !== null && 'rule' in body ? body.rule : null;
  const problem = problemOf(written, '/rule');
  if (problem !== undefined) return sendProblem(response, 422, 'request.invalid', 'Some fields are wrong.', problem);
  const rule = buildRuleSchema.parse(written);
  const matched = branches.flatMap((ref): RulePreview['refs'] => {
    const groups = groupsOf(rule.ref, ref);
    if (groups === undefined) return [];
    const source = { ref, refType: rule.ref.type, commit, pushedAt: '2026-11-21T08:25:00.000Z' };
    const tags = expandImageTags(rule.imageTags, { groups, source });
    const found = { ref, commit, isExampleCommit: false, groups };
    return tags.kind === 'tags'
      ? [{ ...found, tags: tags.tags, problem: null }]
      : [{ ...found, tags: [], problem: { code: 'build.tag_invalid', text: tags.text } }];
  });
  return sendJson(response, 200, { examined: branches.length, matched: matched.length, refs: matched });
}

function groupsOf(
  { name, match }: { name: string; match: 'exact' | 'regexp' },
  ref: string,
): Readonly<Record<string, string>> | undefined {
  if (match === 'exact') return name === ref ? {} : undefined;
  const regexp = compileRegexp(name);
  return isRegexpProblem(regexp) ? undefined : regexp.match(ref);
}
