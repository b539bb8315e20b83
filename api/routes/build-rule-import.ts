import { z } from '@hono/zod-openapi';
import { getRepository } from '../../db/repositories/repository.ts';
import { buildRuleSchema } from '../../domain/build.ts';
import { dockerHubRuleSchema } from '../../domain/docker-hub-rule.ts';
import { limits } from '../../domain/limits.ts';
import type { ApiDeps } from '../deps.ts';
import { importBuildRules } from '../import-build-rules.ts';
import type { ImportItem } from '../import-build-rules.ts';
import { idParam, json, jsonBody, newRoutes, route } from '../route.ts';

const importSchema = z
  .strictObject({
    format: z.literal('docker_hub').default('docker_hub'),
    rules: z
      .array(dockerHubRuleSchema)
      .min(1)
      .max(limits.importedRules)
      .openapi({ description: 'Build rules as Docker Hub’s API answers them; other members are left aside.' }),
  })
  .openapi('BuildRuleImport');

const importAnswer = z
  .object({
    isDryRun: z.boolean(),
    items: z.array(
      z.object({
        id: z.string().nullable().openapi({ description: 'The build rule made of it.' }),
        rule: z.object(buildRuleSchema.shape).nullable().openapi({ description: 'The translation.' }),
        notes: z.array(z.string()).openapi({ description: 'What it leaves open.' }),
        errors: z.array(z.object({ pointer: z.string(), code: z.string(), message: z.string() })),
      }),
    ),
  })
  .openapi('ImportedBuildRules');

const example = {
  isDryRun: false,
  items: [
    {
      id: 'crbr-8f2k1m9q0w3e5r7t',
      rule: buildRuleSchema.parse({
        ref: { type: 'tag', name: 'v(?<g1>[0-9.]+)', match: 'regexp' },
        imageTags: [{ template: 'v${g1}' }],
      }),
      notes: [],
      errors: [],
    },
  ],
};

const importRules = route(
  { action: 'cr:CreateRepositoryBuildRule', resource: 'repository/{instance}/{namespace}/{repository}', example },
  {
    method: 'post',
    path: '/repositories/{id}/build-rules/import',
    summary: 'Take over the build rules of a Docker Hub repository, all or none',
    request: {
      params: idParam,
      query: z.strictObject({
        dryRun: z
          .enum(['true', 'false'])
          .default('false')
          .openapi({ description: 'Only say what would be made of each rule.' }),
      }),
      body: jsonBody(importSchema),
    },
    responses: {
      200: json(importAnswer, 'A dry run: each rule translated, or why it cannot be.'),
      201: json(importAnswer, 'All of them were made.'),
    },
  },
);

/** Import of Docker Hub's build rules (docs/product.md, X-38). */
export function buildRuleImportRoutes(deps: Pick<ApiDeps, 'db' | 'clock'>) {
  return newRoutes('build_rule').openapi(importRules, async (c) => {
    const repository = await getRepository(deps.db, c.req.valid('param').id);
    const isDryRun = c.req.valid('query').dryRun === 'true';
    const { rules } = c.req.valid('json');
    const items = (await importBuildRules(deps, { repository, rules, isDryRun })).map(toApiItem);
    return isDryRun ? c.json({ isDryRun, items }, 200) : c.json({ isDryRun, items }, 201);
  });
}

function toApiItem({ imported, row, errors }: ImportItem) {
  return {
    id: row?.id ?? null,
    rule: imported.kind === 'rule' ? imported.definition : null,
    notes: imported.kind === 'rule' ? [...imported.notes] : [],
    errors: [...errors],
  };
}
