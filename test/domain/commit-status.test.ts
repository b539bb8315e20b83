import { describe, expect, it } from 'vitest';
import { commitVerdict, statusContext } from '../../domain/commit-status.ts';
import type { CommitRun } from '../../domain/commit-status.ts';

const run = (id: string, more: Partial<CommitRun>): CommitRun => ({
  id,
  buildId: `build-${id}`,
  status: 'complete',
  result: 'success',
  text: 'Succeeded in 3 m 12 s',
  ...more,
});
const failed = run('failed', { result: 'failed', text: 'Failed in build: Dockerfile line 12' });
const denied = run('denied', { result: 'denied', text: 'Blocked: 2 findings at or above high' });
const running = run('running', { status: 'running', result: null, text: null });
const queued = run('queued', { status: 'queued', result: null, text: null });
const canceled = run('canceled', { status: 'canceled', result: 'canceled', text: 'Superseded by #8' });
const good = run('good', {});

describe('what is said of a commit', () => {
  it.each([
    { runs: [good], state: 'success', of: 'good', description: 'Succeeded in 3 m 12 s' },
    { runs: [good, queued], state: 'pending', of: 'queued', description: 'Waiting for its turn' },
    { runs: [good, running, queued], state: 'running', of: 'running', description: 'Running' },
    { runs: [running, failed], state: 'failure', of: 'failed', description: 'Failed in build: Dockerfile line 12' },
    { runs: [good, denied], state: 'failure', of: 'denied', description: 'Blocked: 2 findings at or above high' },
    { runs: [good, canceled], state: 'canceled', of: 'canceled', description: 'Superseded by #8' },
  ])('of several rules is the worst: $state, with its run and its sentence', ({ runs, state, of, description }) => {
    expect(commitVerdict(runs)).toMatchObject({ state, run: { id: of }, description });
  });

  it('is nothing without runs', () => {
    expect(commitVerdict([])).toBeUndefined();
  });

  it('is no longer than hosts show', () => {
    const long = commitVerdict([run('long', { text: 'word '.repeat(60) })]);
    expect(long?.description).toHaveLength(140);
    expect(long?.description).toMatch(/…$/);
  });

  it('stands under the name of the chain, or of the repository', () => {
    expect(statusContext({ chain: 'delivery', repository: 'shop/web' })).toBe('slipway/delivery');
    expect(statusContext({ chain: null, repository: 'shop/web' })).toBe('slipway/shop/web');
  });
});
