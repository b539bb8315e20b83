import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createTestApi } from '../support/api.ts';
import type { TestApi } from '../support/api.ts';

const documentSchema = z.looseObject({
  paths: z.record(z.string(), z.record(z.string(), z.looseObject({ summary: z.string().optional() }))),
});

let api: TestApi;

beforeAll(async () => {
  api = await createTestApi();
});
afterAll(() => api.close());

async function readDocument() {
  return (await api.call('GET', '/openapi.json', { isLoggedIn: false })).body;
}

describe('openapi.json', () => {
  it('is committed as the API answers it (renew with: npx vitest run --project postgres test/api/openapi.test.ts -u)', async () => {
    await expect(`${JSON.stringify(await readDocument(), null, 2)}\n`).toMatchFileSnapshot('../../openapi.json');
  });

  it('shows examples that hold by their own schemas', () => {
    const examples = api.app.openAPIRegistry.definitions.flatMap((definition) =>
      definition.type !== 'route'
        ? []
        : Object.entries(definition.route.responses).flatMap(([status, response]) => {
            const json = 'content' in response ? response.content?.['application/json'] : undefined;
            if (json === undefined || !('schema' in json) || !(json.schema instanceof z.ZodType)) return [];
            if (json.example === undefined) return [];
            const { error } = json.schema.safeParse(json.example);
            return [{ name: `${definition.route.method} ${definition.route.path} ${status}`, error: error?.message }];
          }),
    );
    expect(examples.length).toBeGreaterThan(40);
    expect(examples.filter(({ error }) => error !== undefined)).toEqual([]);
  });

  it('names for every operation what it does, the right it needs, on what, and its errors', async () => {
    const { paths } = documentSchema.parse(await readDocument());
    const operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ name: `${method} ${path}`, operation })),
    );
    expect(operations.length).toBeGreaterThan(50);
    for (const { name, operation } of operations) {
      expect([name, operation]).toEqual([
        name,
        expect.objectContaining({
          summary: expect.stringMatching(/^[A-Z].{5,}[^.]$/),
          'x-resource': expect.any(String),
          responses: expect.objectContaining({ '4XX': expect.anything(), '5XX': expect.anything() }),
        }),
      ]);
      const action = z.union([z.null(), z.string().regex(/^cr:[A-Z][A-Za-z]+$/)]);
      expect([name, action.safeParse(operation['x-action']).success]).toEqual([name, true]);
    }
  });
});
