import { z } from '@hono/zod-openapi';
import { getBuild, listBuilds } from '../../db/repositories/build.ts';
import type { BuildWithParts } from '../../db/repositories/build.ts';
import { getBuildRule } from '../../db/repositories/build-rule.ts';
import { getRepository } from '../../db/repositories/repository.ts';
import type { BuildRuleRow } from '../../db/tables/build.ts';
import { manualBuildRefusal } from '../../domain/build.ts';
import { conflict } from '../../domain/errors.ts';
import { buildExample, buildSchema, toApiBuild } from '../build-shape.ts';
import { cancelRun } from '../cancel-run.ts';
import type { ApiDeps } from '../deps.ts';
import { pageOf, pageQuery, toPage } from '../page.ts';
import { rebuild } from '../rebuild.ts';
import { idParam, json, newRoutes, route } from '../route.ts';
import { timeOf } from '../shapes.ts';
import { startBuild } from '../start-build.ts';

const startSchema = z
  .strictObject({
    ref: z.string().min(1).max(255).optional().openapi({ description: 'Branch or tag without refs/…/.' }),
  })
  .openapi('StartBuild');
const rebuildSchema = z.strictObject({ architectures: z.enum(['all', 'failed']).default('all') }).openapi('Rebuild', {
  description: 'Which architectures to build again; with `failed` the others keep their digests.',
});

/** A body that may be left out altogether. */
const optionalBody = <Schema extends z.ZodType>(schema: Schema) => ({ content: { 'application/json': { schema } } });
const resource = 'repository/{instance}/{namespace}/{repository}';

const start = route(
  { action: 'cr:BuildRepositoryByRule', resource, example: buildExample },
  {
    method: 'post',
    path: '/build-rules/{id}/builds',
    summary: 'Build now: the rule’s own ref, or the one given',
    request: { params: idParam, body: optionalBody(startSchema) },
    responses: {
      202: json(buildSchema, 'The build; the same rule, ref and commit already live answers with that one.'),
    },
  },
);
const list = route(
  { action: 'cr:ListRepositoryBuild', resource, example: { items: [buildExample], nextCursor: null } },
  {
    method: 'get',
    path: '/repositories/{id}/builds',
    summary: 'List the builds of a repository',
    request: { params: idParam, query: pageQuery },
    responses: { 200: json(pageOf(buildSchema), 'Builds, newest first.') },
  },
);
const read = route(
  { action: 'cr:GetRepositoryBuildRecord', resource, example: buildExample },
  {
    method: 'get',
    path: '/builds/{id}',
    summary: 'Read a build',
    request: { params: idParam },
    responses: { 200: json(buildSchema, 'The build.') },
  },
);
const cancel = route(
  { action: 'cr:CancelRepositoryBuild', resource, example: buildExample },
  {
    method: 'post',
    path: '/builds/{id}/cancel',
    summary: 'Cancel a build, and with it its run',
    request: { params: idParam },
    responses: { 202: json(buildSchema, 'It is being canceled.') },
  },
);
const startRebuild = route(
  { action: 'cr:BuildRepositoryByRecord', resource, example: buildExample },
  {
    method: 'post',
    path: '/builds/{id}/rebuild',
    summary: 'Build the same commit again, by the same rule and times',
    request: { params: idParam, body: optionalBody(rebuildSchema) },
    responses: { 202: json(buildSchema, 'The new build.') },
  },
);

type BuildDeps = Pick<
  ApiDeps,
  'db' | 'config' | 'cursors' | 'clock' | 'engine' | 'sourceLogins' | 'git' | 'starter' | 'registries'
>;

/** Builds and what starts and ends them (docs/product.md, sections 6 and 7). */
export function buildRoutes(deps: BuildDeps) {
  const { db, cursors } = deps;
  return newRoutes('build')
    .openapi(start, async (c) => {
      const rule = await getBuildRule(db, c.req.valid('param').id);
      const { ref } = c.req.valid('json');
      if (ref === undefined) refuseManualBuild(rule);
      const request = { repositoryId: rule.repository_id, ruleId: rule.id, ref };
      const { build_id: id } = await startBuild(deps, { ...request, cause: c.get('byHand'), actor: c.get('actor') });
      c.header('location', `/v1/builds/${id}`);
      return c.json(toApiBuild(await getBuild(db, id ?? '')), 202);
    })
    .openapi(list, async (c) => {
      const { id } = await getRepository(db, c.req.valid('param').id);
      const query = c.req.valid('query');
      const filters = ['builds', id];
      const rows = await listBuilds(db, id, cursors.read(query, filters));
      const cursorOf = (build: BuildWithParts) =>
        cursors.write({ key: timeOf(build.queued_at), id: build.id }, filters);
      return c.json(toPage(c, { rows, limit: query.limit, toItem: toApiBuild, cursorOf }), 200);
    })
    .openapi(read, async (c) => c.json(toApiBuild(await getBuild(db, c.req.valid('param').id)), 200))
    .openapi(cancel, async (c) => {
      const { id, run_id: runId } = await getBuild(db, c.req.valid('param').id);
      await cancelRun(deps, { runId, actor: c.get('actor'), endedCode: 'build.already_finished' });
      c.header('location', `/v1/builds/${id}`);
      return c.json(toApiBuild(await getBuild(db, id)), 202);
    })
    .openapi(startRebuild, async (c) => {
      const { architectures } = c.req.valid('json');
      const request = { buildId: c.req.valid('param').id, actor: c.get('actor'), architectures };
      const { build_id: id } = await rebuild(deps, request);
      c.header('location', `/v1/builds/${id}`);
      return c.json(toApiBuild(await getBuild(db, id ?? '')), 202);
    });
}

/** The Build button is greyed with the same words. */
function refuseManualBuild({ id, definition }: BuildRuleRow): void {
  const why = manualBuildRefusal(definition);
  if (why === undefined) return;
  throw conflict(
    'build_rule.manual_build_not_allowed',
    `The rule cannot be built without naming a ref: ${why}. Name the branch or tag to build in "ref".`,
    { rule: id, reason: why },
  );
}
