import { z } from '@hono/zod-openapi';
import {
  deleteBuildRule,
  getBuildRule,
  insertBuildRules,
  listBuildRules,
  lockBuildRule,
  updateBuildRule,
} from '../../db/repositories/build-rule.ts';
import { getRepository } from '../../db/repositories/repository.ts';
import type { RepositoryWithPlace } from '../../db/repositories/repository.ts';
import type { BuildRuleRow } from '../../db/tables/build.ts';
import { buildRuleSchema, manualBuildRefusal } from '../../domain/build.ts';
import type { BuildRuleDefinition } from '../../domain/build.ts';
import { requireBuildSecrets } from '../build-secret.ts';
import { requireArchitectures } from '../build-workers.ts';
import type { ApiDeps } from '../deps.ts';
import { isUnchanged, requireMatch, setEtag } from '../etag.ts';
import { pageOf, pageQuery, toPage } from '../page.ts';
import { requireSource } from '../require-source.ts';
import { reasonSchema } from '../shapes.ts';
import { idParam, json, jsonBody, newRoutes, noContent, notModified, route } from '../route.ts';

const buildRuleAnswer = z
  .object({
    id: z.string(),
    repository: z.string(),
    ...buildRuleSchema.shape,
    isManualBuildAllowed: z.boolean().openapi({ description: 'Whether the Build button may be pressed.' }),
    manualBuildRefusal: z.string().nullable().openapi({ description: 'Why it may not.' }),
    lastAutomaticStart: z
      .object({
        cause: z.enum(['schedule', 'base_image']),
        at: z.iso.datetime(),
        ref: z.string(),
        outcome: z.enum(['started', 'already', 'not_started']),
        run: z.string().nullable(),
        reason: reasonSchema.nullable(),
      })
      .nullable()
      .openapi({ description: 'What became of its last start by the clock or for a base image; null: none yet.' }),
    version: z.int(),
    createdAt: z.iso.datetime(),
  })
  .openapi('BuildRule');

const example = {
  id: 'crbr-8f2k1m9q0w3e5r7t',
  repository: 'crr-8f2k1m9q0w3e5r7t',
  ref: { type: 'branch', name: 'main', match: 'exact' },
  contextDirectory: '/',
  dockerfile: 'Dockerfile',
  imageTags: [{ template: 'latest', buildTime: null, commitIdLength: null, timeZone: 'Etc/GMT-8' }],
  architectures: ['linux/amd64', 'linux/arm64'],
  buildParameters: [],
  timeoutMinutes: 60,
  enabled: true,
  paths: { include: ['services/web/**'], exclude: ['**/*.md'] },
  schedule: { cron: '0 3 * * 1-5', timeZone: 'Asia/Shanghai' },
  onBaseImageUpdate: false,
  secrets: [{ id: 'npm', secretRef: 'npm-token' }],
  targetStage: null,
  allowPartial: false,
  isManualBuildAllowed: true,
  manualBuildRefusal: null,
  lastAutomaticStart: {
    cause: 'schedule',
    at: '2026-11-21T19:00:00.000Z',
    ref: 'main',
    outcome: 'started',
    run: '019ab2c4-7d10-7c3e-9c11-2f1e0a9b8c7d',
    reason: null,
  },
  version: 1,
  createdAt: '2026-11-21T12:00:00.000Z',
};
const resource = 'repository/{instance}/{namespace}/{repository}';

const list = route(
  { action: 'cr:ListRepositoryBuildRule', resource, example: { items: [example], nextCursor: null } },
  {
    method: 'get',
    path: '/repositories/{id}/build-rules',
    summary: 'List the build rules of a repository',
    request: { params: idParam, query: pageQuery },
    responses: { 200: json(pageOf(buildRuleAnswer), 'Build rules, oldest first.') },
  },
);
const create = route(
  { action: 'cr:CreateRepositoryBuildRule', resource, example },
  {
    method: 'post',
    path: '/repositories/{id}/build-rules',
    summary: 'Create a build rule',
    request: { params: idParam, body: jsonBody(buildRuleSchema) },
    responses: { 201: json(buildRuleAnswer, 'Created.') },
  },
);
const read = route(
  { action: 'cr:ListRepositoryBuildRule', resource, example },
  {
    method: 'get',
    path: '/build-rules/{id}',
    summary: 'Read a build rule',
    request: { params: idParam },
    responses: { 200: json(buildRuleAnswer, 'The build rule.'), 304: notModified },
  },
);
const replace = route(
  { action: 'cr:UpdateRepositoryBuildRule', resource, example },
  {
    method: 'put',
    path: '/build-rules/{id}',
    summary: 'Change a build rule; builds under way keep theirs',
    request: { params: idParam, body: jsonBody(buildRuleSchema) },
    responses: { 200: json(buildRuleAnswer, 'Changed.') },
  },
);
const remove = route(
  { action: 'cr:DeleteRepositoryBuildRule', resource, example: null },
  {
    method: 'delete',
    path: '/build-rules/{id}',
    summary: 'Delete a build rule; its builds and Records stay',
    request: { params: idParam },
    responses: { 204: noContent },
  },
);

type BuildRuleDeps = Pick<ApiDeps, 'db' | 'clock' | 'cursors'>;

/** Build rules (docs/product.md, section 6). */
export function buildRuleRoutes(deps: BuildRuleDeps) {
  const { db, cursors } = deps;
  return newRoutes('build_rule')
    .openapi(list, async (c) => {
      const repository = await getRepository(db, c.req.valid('param').id);
      const query = c.req.valid('query');
      const filters = ['build-rules', repository.id];
      const rows = await listBuildRules(db, repository.id, cursors.read(query, filters));
      const cursorOf = (row: BuildRuleRow) => cursors.write({ key: row.created_at.toISOString(), id: row.id }, filters);
      return c.json(toPage(c, { rows, limit: query.limit, toItem: toApiBuildRule, cursorOf }), 200);
    })
    .openapi(create, async (c) => {
      const repository = await getRepository(db, c.req.valid('param').id);
      const rule = await createBuildRule(deps, repository, c.req.valid('json'));
      setEtag(c, rule.version);
      return c.json(toApiBuildRule(rule), 201);
    })
    .openapi(read, async (c) => {
      const rule = await getBuildRule(db, c.req.valid('param').id);
      setEtag(c, rule.version, notedOf(rule));
      return isUnchanged(c, rule.version, notedOf(rule)) ? c.body(null, 304) : c.json(toApiBuildRule(rule), 200);
    })
    .openapi(replace, async (c) => {
      const definition = c.req.valid('json');
      const rule = await db.transaction().execute(async (trx) => {
        const current = await lockBuildRule(trx, c.req.valid('param').id);
        requireMatch(c, { version: current.version, current: () => toApiBuildRule(current) });
        await requireBuildSecrets(trx, { repositoryId: current.repository_id, definitions: [definition], pointers });
        await checkArchitectures(deps, await getRepository(trx, current.repository_id), definition);
        return updateBuildRule(trx, current.id, definition);
      });
      setEtag(c, rule.version, notedOf(rule));
      return c.json(toApiBuildRule(rule), 200);
    })
    .openapi(remove, async (c) => {
      await db.transaction().execute(async (trx) => {
        const current = await lockBuildRule(trx, c.req.valid('param').id);
        requireMatch(c, { version: current.version, current: () => toApiBuildRule(current) });
        await deleteBuildRule(trx, current.id);
      });
      return c.body(null, 204);
    });
}

/** The body is the rule itself. */
const pointers = () => '';

async function createBuildRule(
  { db, clock }: BuildRuleDeps,
  repository: RepositoryWithPlace,
  definition: BuildRuleDefinition,
): Promise<BuildRuleRow> {
  requireSource(repository);
  await checkArchitectures({ db, clock }, repository, definition);
  return db.transaction().execute(async (trx) => {
    await requireBuildSecrets(trx, { repositoryId: repository.id, definitions: [definition], pointers });
    const [rule] = await insertBuildRules(trx, { repositoryId: repository.id, definitions: [definition], at: clock() });
    if (rule === undefined) throw new Error('one definition makes one rule');
    return rule;
  });
}

/** Somebody must be there to build them. */
function checkArchitectures(
  deps: Pick<BuildRuleDeps, 'db' | 'clock'>,
  { build_region: buildRegion, instance_region: own }: RepositoryWithPlace,
  { architectures }: BuildRuleDefinition,
): Promise<void> {
  return requireArchitectures(deps, { region: buildRegion ?? own, architectures, pointer: '/architectures' });
}

/** Makes the ETag another one when a start was noted. */
function notedOf({ last_automatic_start: start }: BuildRuleRow): string {
  return start === null ? '' : Date.parse(start.at).toString(36);
}

function toApiBuildRule(row: BuildRuleRow): z.infer<typeof buildRuleAnswer> {
  const refusal = manualBuildRefusal(row.definition);
  return {
    id: row.id,
    repository: row.repository_id,
    ...row.definition,
    enabled: row.enabled,
    isManualBuildAllowed: refusal === undefined,
    manualBuildRefusal: refusal ?? null,
    lastAutomaticStart: row.last_automatic_start,
    version: row.version,
    createdAt: row.created_at.toISOString(),
  };
}
