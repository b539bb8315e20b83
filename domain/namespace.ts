import { z } from 'zod';

/** A namespace as a user writes it (docs/product.md, section 3). Names starting with `slipway-` are reserved. */
export const namespaceSchema = z.strictObject({
  name: z
    .string()
    .min(2)
    .max(120)
    .regex(/^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/)
    .refine((name) => !name.startsWith('slipway-'), {
      message: 'Names starting with "slipway-" are reserved. Choose another name.',
    }),
  autoCreateRepository: z.boolean().default(true),
  defaultRepositoryType: z.enum(['public', 'private']).default('private'),
  defaultTagImmutability: z.boolean().default(false),
});
export type NamespaceDefinition = z.infer<typeof namespaceSchema>;
