import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSupervisor, type Part } from '../../stack/supervisor.ts';

/** Parts of the embedded stack in a folder of their own, for tests of a driver against the real program. */
export interface TestParts {
  /** Short enough for sockets. */
  readonly home: string;
  start(part: Part): Promise<void>;
  stop(): Promise<void>;
}

export async function startParts(): Promise<TestParts> {
  const home = await mkdtemp(join(tmpdir(), 'slipway-parts-'));
  const supervisor = createSupervisor({
    home,
    restartDelaysMs: [100],
    healthyAfterMs: 60_000,
    onEvent: () => undefined,
    onChange: () => undefined,
  });
  return {
    home,
    start: (part) => supervisor.start(part),
    stop: async () => {
      await supervisor.stop();
      await rm(home, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
