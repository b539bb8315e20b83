import type { Run, Step } from '../../console/src/api-types.ts';
import { at, digest } from './console-fixture-steps.ts';

const commit = 'd4ef3dc3b77a011a5779eec7efdd45a8c0b2f6e1';
/** What was pushed. */
export const source: NonNullable<Run['source']> = {
  ref: 'main',
  refType: 'branch',
  commit,
  message: 'Serve the catalogue from the edge cache\n\nMisses go to the origin once.',
  author: 'Lin Xia <lin@example.test>',
};

interface RunParts {
  readonly id: string;
  readonly number: number;
  readonly steps: readonly Step[];
  readonly from: number;
  readonly to: number | null;
}

/** A Record of the repository shop/web that began `from` and ended `to` seconds ago; null: it goes on. */
export function run({ id, number, steps, from, to }: RunParts): Run {
  return {
    id,
    number,
    status: to === null ? 'running' : 'complete',
    result: null,
    reason: null,
    chain: { id: 'chi-web', name: 'web', version: 3, currentVersion: 4 },
    repository: { id: 'crr-web', namespace: 'shop', name: 'web', instance: 'hangzhou' },
    cause: 'source_push',
    actor: 'lin-xia',
    source,
    images: [],
    steps,
    queuedAt: at(from + 1),
    startedAt: at(from),
    endedAt: to === null ? null : at(to),
    attempt: 1,
    build: `build-${id}`,
    tags: ['v1.4.0-d4ef3d', 'latest'],
    version: 7,
    cancelRequestedBy: null,
    supersededBy: null,
    supersedes: null,
    queue: null,
    isLate: false,
    temporal: {
      workflowId: `chain/chi-web/hook/h1/${id}/crbr-1`,
      runId: null,
      url: 'http://127.0.0.1:8233/namespaces/slipway',
    },
  };
}

/** What a successful run wrote. */
export const images = ['v1.4.0-d4ef3d', 'latest'].map((tag) => ({
  tag,
  digest,
  platforms: ['linux/amd64', 'linux/arm64'],
}));
