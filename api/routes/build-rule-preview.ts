import { z } from '@hono/zod-openapi';
import { buildRuleSchema } from '../../domain/build.ts';
import type { PreviewedRef } from '../../domain/build-preview.ts';
import type { ExpandedTag } from '../../domain/build-tags.ts';
import { limits } from '../../domain/limits.ts';
import type { ApiDeps } from '../deps.ts';
import { exampleCommit, previewRule } from '../preview-build-rule.ts';
import type { Preview } from '../preview-build-rule.ts';
import { json, jsonBody, newRoutes, route } from '../route.ts';
import { timeSchema } from '../shapes.ts';

const previewSchema = z
  .strictObject({
    rule: buildRuleSchema,
    repository: z
      .string()
      .max(255)
      .optional()
      .openapi({ description: 'Id of a bound repository: its branches or tags are tried.' }),
    ref: z.string().min(1).max(255).optional().openapi({ description: 'One branch or tag to try.' }),
    commit: z
      .string()
      .regex(/^[0-9a-f]{40}(?:[0-9a-f]{24})?$/)
      .optional()
      .openapi({ description: 'The pushed commit; without it the ref’s newest, or an example.' }),
    pushedAt: z.iso.datetime({ offset: true }).optional().openapi({ description: 'Time of the push; now without it.' }),
  })
  .openapi('BuildRulePreviewRequest');

const tagAnswer = z.object({
  tag: z.string().nullable().openapi({ description: 'null: this image tag is not written.' }),
  code: z.string().nullable().openapi({ description: '`build.tag_invalid` where it would end the build.' }),
  text: z.string().nullable().openapi({ description: 'Why it is not written.' }),
});
const previewAnswer = z
  .object({
    pushedAt: timeSchema,
    examined: z.int().openapi({ description: 'How many branches or tags were tried.' }),
    matched: z.int().openapi({ description: 'How many of them the rule takes.' }),
    refs: z
      .array(
        z.object({
          ref: z.string(),
          refType: z.enum(['branch', 'tag']),
          commit: z.string(),
          isExampleCommit: z.boolean(),
          groups: z.record(z.string(), z.string()),
          imageTags: z.array(tagAnswer).openapi({ description: 'One for each image tag of the rule.' }),
          tags: z.array(z.string()).openapi({ description: 'What the build would write; empty where it would fail.' }),
          problem: z.object({ code: z.string(), text: z.string() }).nullable(),
        }),
      )
      .openapi({ description: `The refs it takes, by name; at most ${limits.previewedRefs}.` }),
  })
  .openapi('BuildRulePreview');

const example = {
  pushedAt: '2020-10-15T08:25:00.000Z',
  examined: 1,
  matched: 1,
  refs: [
    {
      ref: 'release-v1',
      refType: 'branch',
      commit: 'd4ef3dc3b77a011a5779eec7efdd45a1b2c3d4e5',
      isExampleCommit: false,
      groups: { imageTag: 'v1' },
      imageTags: [{ tag: 'v1-202010151625-d4ef3dc3b77a011a5779eec7efdd45', code: null, text: null }],
      tags: ['v1-202010151625-d4ef3dc3b77a011a5779eec7efdd45'],
      problem: null,
    },
  ],
};

const preview = route(
  { action: 'cr:ListRepositoryBuildRule', resource: 'repository/{instance}/{namespace}/{repository}', example },
  {
    method: 'post',
    path: '/build-rules/preview',
    summary: 'Try a build rule before saving it: matching refs, their groups and image tags',
    request: { body: jsonBody(previewSchema) },
    responses: { 200: json(previewAnswer, 'What it would build; nothing is stored.') },
  },
);

/** Preview of a build rule (docs/product.md, X-05). */
export function buildRulePreviewRoutes(deps: Pick<ApiDeps, 'db' | 'clock' | 'git' | 'sourceLogins'>) {
  return newRoutes('build_rule').openapi(preview, async (c) =>
    c.json(toApiPreview(await previewRule(deps, c.req.valid('json'))), 200),
  );
}

function toApiPreview({ pushedAt, examined, matched, refs }: Preview): z.infer<typeof previewAnswer> {
  return { pushedAt: new Date(pushedAt).toISOString(), examined, matched, refs: refs.map(toApiRef) };
}

function toApiRef({ ref, refType, commit, groups, imageTags, result }: PreviewedRef) {
  return {
    ref,
    refType,
    commit,
    isExampleCommit: commit === exampleCommit,
    groups: { ...groups },
    imageTags: imageTags.map(toApiTag),
    tags: result.kind === 'tags' ? [...result.tags] : [],
    problem: result.kind === 'tags' ? null : { code: 'build.tag_invalid', text: result.text },
  };
}

function toApiTag(expanded: ExpandedTag): z.infer<typeof tagAnswer> {
  switch (expanded.kind) {
    case 'tag':
      return { tag: expanded.tag, code: null, text: null };
    case 'none':
      return { tag: null, code: null, text: expanded.text };
    case 'invalid':
      return { tag: null, code: 'build.tag_invalid', text: expanded.text };
  }
}
