import { afterEach, expect, it } from 'vitest';
import { create, textAt } from '../support/api.ts';
import type { Answer } from '../support/api.ts';
import { createSourceWorld } from '../support/source-world.ts';
import type { SourceWorld } from '../support/source-world.ts';

let world: SourceWorld;
afterEach(() => world.close());

async function addAccount(definition: object): Promise<string> {
  const answer = await create(world.api, '/v1/instances/hangzhou/source-accounts', definition);
  return `/v1/source-accounts/${textAt(answer, 'id')}/check`;
}

function check(path: string): Promise<Answer> {
  return world.api.call('POST', path);
}

it('an account is asked about at its host: accepted, then revoked, then the host is away', async () => {
  world = await createSourceWorld('gitea');
  const { state, url: baseUrl } = world.host;
  const path = await addAccount({ host: 'gitea', baseUrl, credential: { token: 'canary-host-token' } });
  expect((await check(path)).body).toMatchObject({ state: 'accepted', latencyMs: expect.any(Number) });
  state.token = 'another';
  const revoked = await check(path);
  expect(revoked.body).toMatchObject({ state: 'refused' });
  expect(JSON.stringify(revoked.body)).not.toContain('canary');
  state.fault = { status: 503 };
  expect((await check(path)).body).toMatchObject({ state: 'unreachable' });
});

it('what cannot be asked is said to be untested', async () => {
  world = await createSourceWorld('gitea');
  const { url: baseUrl } = world.host;
  const credential = { username: 'ci', password: 'canary' };
  expect((await check(await addAccount({ host: 'git', baseUrl, credential }))).body).toMatchObject({
    state: 'untested',
    detail: 'A plain git server cannot be asked; the credential is tried when a repository is bound.',
  });
  expect((await check(await addAccount({ host: 'gitea', baseUrl }))).body).toMatchObject({ state: 'untested' });
  expect((await check('/v1/source-accounts/src-none/check')).status).toBe(404);
});
