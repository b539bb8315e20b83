import { expect } from 'vitest';
import { z } from 'zod';
import { create, textAt } from './api.ts';
import { createInstance, createNamespace, createSourceAccount } from './api-world.ts';
import { createInboxWorld } from './inbox-world.ts';
import type { InboxWorld } from './inbox-world.ts';
import { githubPush } from './source-push.ts';

/** The commit every push and every resolved ref has unless a test says otherwise. */
export const ruleCommit = 'd4ef3dc3b77a011a5779eec7efdd45a1b2c3d4e5';

/** Example 1 of the product documents. */
export const exampleOne = { ref: { type: 'branch', name: 'main' }, imageTags: [{ template: 'latest' }] };

interface Push {
  /** GitHub's own time of the push. */
  readonly at?: string | undefined;
  readonly before?: string | undefined;
  readonly after?: string | undefined;
  readonly commits?: readonly object[] | undefined;
}

/** An API where a namespace and a GitHub account wait for repositories with build rules; everything goes over HTTP. */
export async function createRuleWorld() {
  const world = await createInboxWorld();
  await createInstance(world, 'hangzhou');
  const namespaceId = await createNamespace(world, 'hangzhou', 'shop');
  const account = await createSourceAccount(world, 'hangzhou', { host: 'github', baseUrl: 'https://github.com' });
  let made = 0;

  /** A repository made by one request with its source and rules. */
  async function makeRepository(buildRules: readonly object[], more: object = {}) {
    made += 1;
    const answer = await create(world, `/v1/namespaces/${namespaceId}/repositories`, {
      name: `web-${made}`,
      codeSource: { sourceAccount: account, codeNamespace: 'acme', codeRepository: 'web' },
      buildRules,
      ...more,
    });
    return repositoryOf(world, {
      id: textAt(answer, 'id'),
      hookPath: new URL(textAt(answer, 'hook.url')).pathname,
      hookSecret: textAt(answer, 'hook.secret'),
      ruleIds: z.array(z.string()).parse(answer.body?.['buildRules']),
    });
  }

  return { ...world, makeRepository };
}

export type RuleWorld = Awaited<ReturnType<typeof createRuleWorld>>;
export type RuleRepository = Awaited<ReturnType<RuleWorld['makeRepository']>>;

function repositoryOf(
  world: InboxWorld,
  {
    id,
    hookPath,
    hookSecret,
    ruleIds,
  }: { id: string; hookPath: string; hookSecret: string; ruleIds: readonly string[] },
) {
  const path = `/v1/repositories/${id}`;
  /** Of its first rule. */
  const rulePath = `/v1/build-rules/${ruleIds[0] ?? ''}`;
  const itemsOf = async (list: string): Promise<unknown[]> => {
    const { body } = await world.call('GET', `${path}/${list}`);
    return Array.isArray(body?.['items']) ? body['items'] : [];
  };
  return {
    id,
    path,
    rulePath,
    /** GitHub pushes the branch, and the inbox is read. What is listed newest first gets a time of its own. */
    async push(branch: string, { at = '2020-10-15T08:25:00Z', after = ruleCommit, ...payload }: Push = {}) {
      world.passTime(100);
      const repository = { full_name: 'acme/web', fork: false, pushed_at: Date.parse(at) / 1_000 };
      const delivery = githubPush(hookSecret, { ref: `refs/heads/${branch}`, after, repository, ...payload });
      expect((await world.call('POST', hookPath, { ...delivery, isLoggedIn: false })).status).toBe(202);
      await world.dispatchAll();
    },
    builds: () => itemsOf('builds'),
    lastEvent: async () => (await itemsOf('source-events?limit=1'))[0],
    /** The Build button of its first rule, or with a ref the act beside it. */
    press: (body?: object) => world.call('POST', `${rulePath}/builds`, body === undefined ? {} : { body }),
  };
}
