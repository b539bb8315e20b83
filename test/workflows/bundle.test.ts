import { expect, test } from 'vitest';
import { workflowBundle } from '../../worker/bundle.ts';

test('the bundle of the workflows holds no database, no server and no Node built-in', async () => {
  const bundle = await workflowBundle();
  expect(bundle).toContain('deliveryChain');
  for (const name of ['node_modules/kysely', 'node_modules/pg/', 'node_modules/hono', 'node_modules/@aws-sdk'])
    expect(bundle).not.toContain(name);
}, 60_000);
