import { startIsolationWorld } from './isolation-world.ts';

// A worker in the middle of a build, for a test that kills it: `node isolation-process.ts <folder>` says when the step runs.
const world = await startIsolationWorld({ folder: process.argv[2] ?? '' });
await world.build('FROM base\nRUN echo step runs; sleep 600', {
  input: { onLines: (lines) => lines.forEach(({ text }) => process.stdout.write(`${text}\n`)) },
});
