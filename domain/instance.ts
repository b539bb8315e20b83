import { z } from 'zod';

/** An instance as a user writes it: one OCI registry under Slipway, in one region (docs/product.md, section 2). */
export const instanceSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{1,28}[a-z0-9]$/)
    .refine((name) => !name.startsWith('cri-'), {
      message: 'Names starting with "cri-" are reserved: they look like an id. Choose another name.',
    }),
  region: z.string().regex(/^[a-z0-9-]{2,32}$/),
  kind: z.enum(['managed', 'external']).default('managed'),
  registryUrl: z.url({ protocol: /^https?$/ }).max(2_048),
  /** Login of an external registry; write-only. */
  credentials: z
    .strictObject({ username: z.string().min(1).max(255), password: z.string().min(1).max(4_096) })
    .nullable()
    .optional(),
});
export type InstanceDefinition = z.infer<typeof instanceSchema>;

/** What an edition allows at most (docs/product.md, section 2, "Editions"). */
export const editionQuotas = {
  personal: { namespaces: 3, repositories: 300, buildRulesPerRepository: 5 },
  basic: { namespaces: 15, repositories: 1_000, buildRulesPerRepository: 50 },
  advanced: { namespaces: 50, repositories: 5_000, buildRulesPerRepository: 50 },
} as const;

/** The reserved, public namespace of hosted base images. */
export const baseImageNamespace = 'slipway-base';

/** The regions offered when the administrator configures none: those the product documents name (docs/product.md, section 2). */
export const defaultRegions: readonly string[] = [
  'cn-hangzhou',
  'cn-shanghai',
  'cn-qingdao',
  'cn-beijing',
  'cn-zhangjiakou',
  'cn-huhehaote',
  'cn-shenzhen',
  'cn-chengdu',
  'cn-hongkong',
  'ap-southeast-1',
  'ap-southeast-2',
  'ap-southeast-5',
  'ap-northeast-1',
  'eu-central-1',
  'us-west-1',
];
