import { pino } from 'pino';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { Git } from '../../activities/drivers/git.ts';
import { createSourceTips } from '../../api/source-tips.ts';
import type { SourceTipsDeps } from '../../api/source-tips.ts';
import { createTestApi } from '../support/api.ts';
import type { TestApi } from '../support/api.ts';
import { seedRepository } from '../support/seed.ts';

let api: TestApi;
beforeAll(async () => {
  api = await createTestApi();
});
afterAll(() => api.close());

function createWorld() {
  let now = new Date('2026-11-21T12:00:00Z');
  const refsRead = vi.fn<Git['refsRead']>(async () => new Map());
  const openLogin = vi.fn<SourceTipsDeps['openLogin']>(async () => ({ username: 'git', password: 'token' }));
  const log = pino({ level: 'silent' });
  const tips = createSourceTips({ db: api.deps.db, git: { refsRead }, openLogin, clock: () => now, log });
  return { tips, refsRead, openLogin, passTime: (ms: number) => (now = new Date(now.getTime() + ms)) };
}

it('asks the bound code with the login of its account', async () => {
  const { id } = await seedRepository(api.deps.db, api.deps.secretBox);
  const { tips, refsRead, openLogin } = createWorld();
  const found = new Map([['refs/heads/main', { commit: 'a'.repeat(40), objectId: 'a'.repeat(40) }]]);
  refsRead.mockResolvedValue(found);
  expect(await tips.read(id, ['refs/heads/main'])).toBe(found);
  expect(openLogin).toHaveBeenCalledWith(
    expect.objectContaining({ url: 'https://code.example.com/acme/app.git' }),
    expect.anything(),
  );
  expect(refsRead).toHaveBeenCalledWith(
    'https://code.example.com/acme/app.git',
    ['refs/heads/main'],
    expect.objectContaining({ credential: { username: 'git', password: 'token' } }),
  );
});

it('knows nothing of a repository that is bound to no code', async () => {
  const { tips, refsRead } = createWorld();
  expect(await tips.read('crr-none', ['refs/heads/main'])).toBeNull();
  expect(refsRead).not.toHaveBeenCalled();
});

it.each(['the host', 'the login'])(
  'leaves an account alone for half a minute where %s fails, and no other',
  async (what) => {
    const [one, other] = [
      await seedRepository(api.deps.db, api.deps.secretBox),
      await seedRepository(api.deps.db, api.deps.secretBox),
    ];
    const { tips, refsRead, openLogin, passTime } = createWorld();
    const failing = what === 'the host' ? refsRead : openLogin;
    failing.mockRejectedValueOnce(new Error('nobody answers'));
    expect(await tips.read(one.id, ['refs/heads/main'])).toBeNull();
    expect(await tips.read(one.id, ['refs/heads/main'])).toBeNull();
    expect(await tips.read(other.id, ['refs/heads/main'])).not.toBeNull();
    expect(openLogin).toHaveBeenCalledTimes(2);
    passTime(30_000);
    expect(await tips.read(one.id, ['refs/heads/main'])).not.toBeNull();
  },
);
