import { z } from 'zod';
import { buildRuleSchema } from './build.ts';
import { sourceBindingSchema } from './source.ts';

const buildSettings = z
  .strictObject({
    autoBuild: z.boolean().default(true),
    /** Builds on another region's workers and pushes here; null: the instance's own region. */
    buildRegion: z
      .string()
      .regex(/^[a-z0-9-]{2,32}$/)
      .nullable()
      .default(null),
    noCache: z.boolean().default(false),
  })
  .default({ autoBuild: true, buildRegion: null, noCache: false });

/** What of a repository can change; its name is fixed, its source and rules have paths of their own (docs/product.md, section 4). */
export const repositoryUpdateSchema = z.strictObject({
  type: z.enum(['public', 'private']).optional(),
  tagImmutability: z.boolean().optional(),
  summary: z.string().max(100).default(''),
  description: z.string().max(2_000).default(''),
  buildSettings,
});
export type RepositoryChange = z.infer<typeof repositoryUpdateSchema>;

/** A repository as a user writes it; the wizard saves it with its source and rules, or nothing (docs/product.md, section 4). */
export const repositorySchema = z
  .strictObject({
    name: z
      .string()
      .min(2)
      .max(64)
      .regex(/^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/),
    ...repositoryUpdateSchema.shape,
    codeSource: sourceBindingSchema.nullable().default(null),
    buildRules: z.array(buildRuleSchema).max(50).default([]),
  })
  .superRefine((repository, context) => {
    if (repository.codeSource !== null || repository.buildRules.length === 0) return;
    context.addIssue({
      code: 'custom',
      path: ['buildRules'],
      message: 'A local repository is pushed to and never built: it takes no build rule. Bind a source first.',
      params: { code: 'build_rule.needs_source' },
    });
  });
export type RepositoryDefinition = z.infer<typeof repositorySchema>;
