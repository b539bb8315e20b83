import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { gitLogin } from '../../domain/source-credential.ts';
import { startGitServer } from '../../stack/git-server.ts';
import type { GitServer } from '../../stack/git-server.ts';
import { createGitRoot } from '../support/git-repository.ts';
import { deliveryOf, fixture, zero } from '../support/source-sender.ts';
import { sourceSenders } from '../support/source-senders.ts';
import { startScriptedHost } from '../support/source-hosts/scripted-host.ts';
import type { ScriptedHost } from '../support/source-hosts/scripted-host.ts';
import { stackApi } from '../support/stack-world.ts';

const idSchema = z.looseObject({ id: z.string() });
const createdSchema = idSchema.extend({
  hook: z.looseObject({ url: z.string(), secret: z.string(), installed: z.boolean() }),
});
const buildsSchema = z.object({ items: z.array(z.looseObject({ id: z.string(), status: z.string() })) });
const token = 'canary-host-token';

let root: Awaited<ReturnType<typeof createGitRoot>>;
let git: GitServer;
let host: ScriptedHost;
beforeAll(async () => {
  root = await createGitRoot();
  const path = process.env['PATH'] ?? '/usr/bin:/bin';
  git = await startGitServer({ root: root.root, path, login: gitLogin('gitea', { kind: 'token', token }) });
  host = await startScriptedHost('gitea', { gitUrl: git.url });
});
afterAll(async () => {
  await host.close();
  await git.close();
  await root.remove();
});

test('a push to a private Gitea is built with the account it was bound through, and its commit says so within ten seconds', async () => {
  const api = stackApi();
  const suffix = randomUUID().slice(0, 8);
  const namespace = await api.call('POST', '/v1/instances/hangzhou/namespaces', {
    body: { name: `hosts-${suffix}` },
    answer: idSchema,
  });
  const account = await api.call('POST', '/v1/instances/hangzhou/source-accounts', {
    body: { host: 'gitea', baseUrl: host.url, credential: { token } },
    answer: idSchema,
  });
  const code = await root.repository('acme/web');
  await code.commit({ Dockerfile: 'FROM scratch\nCOPY mark /mark\n', mark: 'one' });
  const repository = await api.call('POST', `/v1/namespaces/${namespace.id}/repositories`, {
    body: {
      name: 'web',
      codeSource: { sourceAccount: account.id, codeNamespace: 'acme', codeRepository: 'web' },
      buildRules: [{ ref: { type: 'branch', name: 'main' }, imageTags: [{ template: 'latest' }] }],
    },
    answer: createdSchema,
  });
  expect(repository.hook.installed).toBe(true);

  const commit = await code.commit({ Dockerfile: 'FROM scratch\nCOPY mark /mark\n', mark: suffix });
  const pushed = { ref: 'refs/heads/main', before: zero, after: commit, commits: [], head_commit: null };
  const body = { ...fixture('gitea/push'), ...pushed, repository: { full_name: 'acme/web', fork: false } };
  const sender = sourceSenders.find(([, each]) => each.host === 'gitea')?.[1];
  if (sender === undefined) throw new Error('no sender of Gitea');
  const push = { event: 'push', body, means: [] };
  const delivery = deliveryOf(sender, { secret: repository.hook.secret, push, at: new Date() });
  const accepted = await fetch(repository.hook.url, { method: 'POST', ...delivery });
  expect(accepted.status).toBe(202);

  const { items } = await api.until(`/v1/repositories/${repository.id}/builds`, {
    answer: buildsSchema,
    isDone: (found) => found.items.some(({ status }) => !['pending', 'building'].includes(status)),
    everyMs: 200,
  });
  expect(items.map(({ status }) => status)).toEqual(['success']);
  await vi.waitFor(() => expect(host.state.statuses.at(-1)?.state).toBe('success'), { timeout: 10_000 });
  expect(host.state.statuses[0]).toMatchObject({ commit, context: `slipway/hosts-${suffix}/web`, state: 'pending' });
  expect(host.state.statuses.at(-1)?.url).toContain(`/repositories/${repository.id}/build?build=${items[0]?.id}`);

  await api.call('DELETE', `/v1/repositories/${repository.id}/source-binding`, { answer: z.null() });
  expect(host.state.hooks).toEqual([]);
});
