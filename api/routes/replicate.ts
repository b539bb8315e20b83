import { z } from '@hono/zod-openapi';
import { getInstance } from '../../db/repositories/instance.ts';
import {
  deleteReplicationRule,
  getReplicationRule,
  insertReplicationRule,
  listAllReplicationRules,
  listReplicationRules,
  lockReplicationRules,
  updateReplicationRule,
} from '../../db/repositories/replication-rule.ts';
import type { ReplicationRuleWithInstance } from '../../db/repositories/replication-rule.ts';
import type { DatabaseTransaction } from '../../db/database.ts';
import { conflict } from '../../domain/errors.ts';
import { replicationLoop } from '../../domain/replicate-loop.ts';
import { replicationRuleSchema } from '../../domain/replicate.ts';
import type { ReplicationRuleDefinition } from '../../domain/replicate.ts';
import type { ApiDeps } from '../deps.ts';
import { isUnchanged, requireMatch, setEtag } from '../etag.ts';
import { pageOf, pageQuery, toPage } from '../page.ts';
import { checkPlaces } from '../replication-check.ts';
import { idParam, instanceParam, json, jsonBody, newRoutes, noContent, notModified, route } from '../route.ts';

const ruleAnswer = z
  .object({
    id: z.string(),
    sourceInstance: z.string(),
    ...replicationRuleSchema.shape,
    version: z.int(),
    createdAt: z.iso.datetime(),
  })
  .openapi('ReplicationRule');

const example = {
  id: 'crsr-8f2k1m9q0w3e5r7t',
  sourceInstance: 'hangzhou',
  name: 'to-singapore',
  level: 'namespace',
  source: { namespace: 'shop', repository: null, repositoryFilter: '.*', tagFilter: 'v.*' },
  destination: { region: 'ap-southeast-1', instance: 'singapore', namespace: null, repository: null },
  start: 'automatic',
  override: true,
  bandwidth: 0,
  enabled: true,
  version: 1,
  createdAt: '2026-11-21T12:00:00.000Z',
};
const resource = 'instance/{instance}';

const list = route(
  { action: 'cr:ListSyncRule', resource, example: { items: [example], nextCursor: null } },
  {
    method: 'get',
    path: '/instances/{instance}/replication-rules',
    summary: 'List the replication rules of an instance',
    request: { params: instanceParam, query: pageQuery },
    responses: { 200: json(pageOf(ruleAnswer), 'Rules by name.') },
  },
);
const create = route(
  { action: 'cr:CreateSyncRule', resource, example },
  {
    method: 'post',
    path: '/instances/{instance}/replication-rules',
    summary: 'Create a replication rule from this instance to another',
    request: { params: instanceParam, body: jsonBody(replicationRuleSchema) },
    responses: { 201: json(ruleAnswer, 'Created.') },
  },
);
const read = route(
  { action: 'cr:ListSyncRule', resource, example },
  {
    method: 'get',
    path: '/replication-rules/{id}',
    summary: 'Read a replication rule',
    request: { params: idParam },
    responses: { 200: json(ruleAnswer, 'The rule.'), 304: notModified },
  },
);
const replace = route(
  { action: 'cr:UpdateSyncRule', resource, example },
  {
    method: 'put',
    path: '/replication-rules/{id}',
    summary: 'Change a replication rule; runs under way keep theirs',
    request: { params: idParam, body: jsonBody(replicationRuleSchema) },
    responses: { 200: json(ruleAnswer, 'Changed.') },
  },
);
const remove = route(
  { action: 'cr:DeleteSyncRule', resource, example: null },
  {
    method: 'delete',
    path: '/replication-rules/{id}',
    summary: 'Delete a replication rule; what was copied stays',
    request: { params: idParam },
    responses: { 204: noContent },
  },
);

type ReplicateDeps = Pick<ApiDeps, 'db' | 'clock' | 'cursors'>;

/** Replication rules (docs/product.md, section 10). */
export function replicateRoutes(deps: ReplicateDeps) {
  const { db, cursors } = deps;
  return newRoutes('replication')
    .openapi(list, async (c) => {
      const instance = await getInstance(db, c.req.valid('param').instance);
      const query = c.req.valid('query');
      const filters = ['replication-rules', instance.id];
      const rows = await listReplicationRules(db, instance.id, cursors.read(query, filters));
      const cursorOf = ({ name, id }: ReplicationRuleWithInstance) => cursors.write({ key: name, id }, filters);
      return c.json(toPage(c, { rows, limit: query.limit, toItem: toApiRule, cursorOf }), 200);
    })
    .openapi(create, async (c) => {
      const instance = await getInstance(db, c.req.valid('param').instance);
      const asked = c.req.valid('json');
      const rule = await db.transaction().execute(async (trx) => {
        const definition = await checkRule(trx, { instance, definition: asked, replaces: null });
        const row = await insertReplicationRule(trx, instance, { definition, at: deps.clock() });
        return { ...row, instance: instance.name };
      });
      setEtag(c, rule.version);
      return c.json(toApiRule(rule), 201);
    })
    .openapi(read, async (c) => {
      const rule = await getReplicationRule(db, c.req.valid('param').id);
      setEtag(c, rule.version);
      return isUnchanged(c, rule.version) ? c.body(null, 304) : c.json(toApiRule(rule), 200);
    })
    .openapi(replace, async (c) => {
      const asked = c.req.valid('json');
      const rule = await db.transaction().execute(async (trx) => {
        const current = await lockMatching(trx, c.req.valid('param').id, (row) =>
          requireMatch(c, { version: row.version, current: () => toApiRule(row) }),
        );
        const instance = { id: current.instance_id, name: current.instance };
        const definition = await checkRule(trx, { instance, definition: asked, replaces: current.id });
        return { ...(await updateReplicationRule(trx, current, definition)), instance: current.instance };
      });
      setEtag(c, rule.version);
      return c.json(toApiRule(rule), 200);
    })
    .openapi(remove, async (c) => {
      await db.transaction().execute(async (trx) => {
        const current = await lockMatching(trx, c.req.valid('param').id, (row) =>
          requireMatch(c, { version: row.version, current: () => toApiRule(row) }),
        );
        await deleteReplicationRule(trx, current.id);
      });
      return c.body(null, 204);
    });
}

async function lockMatching(
  trx: DatabaseTransaction,
  id: string,
  check: (row: ReplicationRuleWithInstance) => void,
): Promise<ReplicationRuleWithInstance> {
  await lockReplicationRules(trx);
  const current = await getReplicationRule(trx, id);
  check(current);
  return current;
}

/** The rule with its destination's name in place of an id. Throws when a place is missing, or the rules would form a circle. */
async function checkRule(
  trx: DatabaseTransaction,
  {
    instance,
    definition,
    replaces,
  }: {
    instance: { readonly id: string; readonly name: string };
    definition: ReplicationRuleDefinition;
    replaces: string | null;
  },
): Promise<ReplicationRuleDefinition> {
  await lockReplicationRules(trx);
  const checked = await checkPlaces(trx, instance, definition);
  const others = (await listAllReplicationRules(trx)).filter((rule) => rule.id !== replaces);
  const loop = replicationLoop(others, { instance: instance.name, definition: checked });
  if (loop === undefined) return checked;
  throw conflict(
    'replication.loop',
    `Images would go round in a circle: ${loop.join(' → ')}. Change or delete one of the rules on the way.`,
  );
}

function toApiRule(row: ReplicationRuleWithInstance): z.infer<typeof ruleAnswer> {
  return {
    id: row.id,
    sourceInstance: row.instance,
    ...row.definition,
    enabled: row.enabled,
    version: row.version,
    createdAt: row.created_at.toISOString(),
  };
}
