import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deleteBuildWorker, noteBuildWorker } from '../../db/repositories/build-worker.ts';
import { createInboxWorld } from '../support/inbox-world.ts';
import type { InboxWorld } from '../support/inbox-world.ts';
import { seedRepository } from '../support/seed.ts';
import type { SeededRepository } from '../support/seed.ts';

let world: InboxWorld;
beforeAll(async () => {
  world = await createInboxWorld();
});
afterAll(() => world.close());

const versions = {
  source_type: 'Tag',
  source_name: '/^v([0-9.]+)$/',
  docker_tag: String.raw`v{\1}`,
  dockerfile_location: 'Dockerfile',
  build_context: '/',
  autobuild: true,
  nocache: false,
  uuid: '5b1e7f0e-7b0a-4f5e-9f44-1f2e3d4c5b6a',
};
const main = { source_type: 'Branch', source_name: 'main', docker_tag: 'latest', build_context: '/app' };

const importInto = ({ id }: Pick<SeededRepository, 'id'>, rules: readonly object[], query = '') =>
  world.call('POST', `/v1/repositories/${id}/build-rules/import${query}`, { body: { rules } });
const rulesOf = async ({ id }: Pick<SeededRepository, 'id'>) =>
  (await world.call('GET', `/v1/repositories/${id}/build-rules`)).body?.['items'];

describe('the import of Docker Hub’s build rules', () => {
  it('makes rules that write the same tags', async () => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox);
    const answer = await importInto(repository, [versions, main]);
    expect(answer).toMatchObject({
      status: 201,
      body: {
        isDryRun: false,
        items: [
          { id: expect.stringMatching(/^crbr-/), rule: { imageTags: [{ template: 'v${g1}' }] }, notes: [], errors: [] },
          { id: expect.stringMatching(/^crbr-/), rule: { contextDirectory: '/app', dockerfile: 'Dockerfile' } },
        ],
      },
    });
    expect(await rulesOf(repository)).toMatchObject([
      { ref: { type: 'tag', name: 'v(?<g1>[0-9.]+)', match: 'regexp' }, enabled: true },
      { ref: { type: 'branch', name: 'main', match: 'exact' } },
    ]);
    await world.push(repository, { ref: 'refs/tags/v1.4.2', after: 'b'.repeat(40) });
    expect(await world.runsOf(repository)).toMatchObject([{ ref: 'v1.4.2', tags: ['v1.4.2'] }]);
  });

  it('with one rule that cannot be translated stores none and names the field', async () => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox);
    const broken = { ...versions, docker_tag: String.raw`v{\2}` };
    expect(await importInto(repository, [main, broken, { ...main, source_name: '/(?<=v)x/' }])).toMatchObject({
      status: 422,
      body: {
        code: 'request.invalid',
        errors: [
          { pointer: '/rules/1/docker_tag', code: 'build_rule.import_untranslatable' },
          { pointer: '/rules/2/source_name', code: 'regexp.invalid' },
        ],
      },
    });
    expect(await rulesOf(repository)).toEqual([]);
  });

  it('in a dry run tells of every rule and stores none', async () => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox);
    const off = { ...main, autobuild: false };
    expect(await importInto(repository, [versions, off, { ...main, docker_tag: 'a b' }], '?dryRun=true')).toMatchObject(
      {
        status: 200,
        body: {
          isDryRun: true,
          items: [
            { id: null, rule: { ref: { name: 'v(?<g1>[0-9.]+)' } }, errors: [] },
            { id: null, rule: { enabled: false }, notes: [expect.stringContaining('Autobuild was off')] },
            { id: null, rule: null, errors: [{ pointer: '/rules/2/docker_tag' }] },
          ],
        },
      },
    );
    expect(await rulesOf(repository)).toEqual([]);
  });

  it('is refused for a local repository, past the quota, and without rules', async () => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox);
    await world.deps.db
      .updateTable('instance')
      .set({ edition: 'personal' })
      .where('id', '=', repository.instanceId)
      .execute();
    expect(await importInto(repository, Array(6).fill(main))).toMatchObject({
      status: 409,
      body: { code: 'quota.exceeded', limit: 5, used: 0 },
    });
    expect(await importInto(repository, [])).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/rules', code: 'build_rule.rules_invalid' }] },
    });
    expect(await importInto(repository, [{ source_type: 'Tag' }])).toMatchObject({ status: 422 });
    await world.deps.db.deleteFrom('source_binding').where('repository_id', '=', repository.id).execute();
    expect(await importInto(repository, [main])).toMatchObject({
      status: 409,
      body: { code: 'build_rule.needs_source' },
    });
  });

  it('is refused where no worker of the region builds what the rules would be built for', async () => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox);
    const arm = { id: 'w-arm', regions: ['cn-hangzhou'], platforms: ['linux/arm64'] as const, slots: 1 };
    await noteBuildWorker(world.deps.db, { ...arm, isolation: 'namespace', at: world.clock() });
    expect(await importInto(repository, [main])).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/rules/0/architectures/0', code: 'build_rule.architecture_without_worker' }] },
    });
    expect(await rulesOf(repository)).toEqual([]);
    await deleteBuildWorker(world.deps.db, 'w-arm');
    expect((await importInto(repository, [main])).status).toBe(201);
  });
});
