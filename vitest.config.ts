import { defineConfig } from 'vitest/config';
import { MixedOrder } from './test/support/order.ts';

const temporalTests = 'test/workflows/**/*.temporal.test.ts';

/** The five tiers of tests; what each may start stands in CONTRIBUTING.md. */
export default defineConfig({
  test: {
    pool: 'forks',
    // Two that work and one that waits for the stack.
    maxWorkers: 3,
    sequence: { sequencer: MixedOrder },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          // Nothing here keeps anything in a module: files of one worker share what they import, half of their time.
          isolate: false,
          include: ['test/{domain,workflows,drivers,console,stack}/**/*.test.ts'],
          exclude: [temporalTests],
          // Some start small programs, while other tests have the processors.
          testTimeout: 20_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'postgres',
          isolate: false,
          include: ['test/{db,activities,api}/**/*.test.ts'],
          globalSetup: ['test/support/postgres.setup.ts'],
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'parts',
          include: ['test/parts/**/*.test.ts'],
          globalSetup: ['test/support/parts.setup.ts'],
          testTimeout: 300_000,
          hookTimeout: 600_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'workflow',
          include: [temporalTests],
          globalSetup: ['test/support/temporal.setup.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          globalSetup: ['test/support/stack.setup.ts'],
          setupFiles: ['test/support/stack-turn.ts'],
          testTimeout: 300_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
});
