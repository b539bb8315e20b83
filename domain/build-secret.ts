import { z } from 'zod';
import { limits } from './limits.ts';

/** Name of a namespace's secret, and of a Dockerfile's `--mount=type=secret,id=…`. */
const buildSecretName = z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/);

const valueSchema = z
  .string()
  .refine((value) => value.length >= limits.buildSecretMinLength, {
    message: `A secret has at least ${limits.buildSecretMinLength} characters: a shorter one cannot be masked in logs.`,
  })
  .refine((value) => new TextEncoder().encode(value).length <= limits.buildSecretBytes, {
    message: `A secret may hold ${limits.buildSecretBytes / 1024} KiB.`,
  });

/** A change of a secret: a new value, or none to keep it. The name is fixed and may be left out (docs/product.md, X-09). */
export const buildSecretUpdateSchema = z.strictObject({
  name: buildSecretName.optional(),
  value: valueSchema.optional(),
});

/** A secret of a namespace; its name is fixed. */
export const buildSecretSchema = z.strictObject({ name: buildSecretName, value: valueSchema });

/** A secret a rule gives to the build: `id` in the Dockerfile, `secretRef` the name in the namespace. */
export const buildSecretUseSchema = z.strictObject({ id: buildSecretName, secretRef: buildSecretName });
