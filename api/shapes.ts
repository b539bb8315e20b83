import { z } from '@hono/zod-openapi';

/** Parts that several answers share. */
export const reasonSchema = z
  .object({
    code: z.string(),
    params: z.record(z.string(), z.union([z.string(), z.number()])),
    text: z.string().openapi({ description: 'One sentence; every surface shows it.' }),
  })
  .openapi('Reason');

/** A repository as runs, builds and scans name it; `instance` is a name. */
export const placeSchema = z
  .object({ id: z.string(), namespace: z.string(), name: z.string(), instance: z.string() })
  .openapi('RepositoryPlace');

export const timeSchema = z.iso.datetime();

export const placeExample = {
  id: 'crr-8f2k1m9q0w3e5r7t',
  namespace: 'shop',
  name: 'web',
  instance: 'hangzhou',
};

export function timeOf(at: Date): string {
  return at.toISOString();
}

export function timeOrNull(at: Date | null): string | null {
  return at?.toISOString() ?? null;
}
