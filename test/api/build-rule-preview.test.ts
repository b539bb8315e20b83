import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { SourceError } from '../../domain/source-error.ts';
import { createInboxWorld } from '../support/inbox-world.ts';
import type { InboxWorld } from '../support/inbox-world.ts';
import { seedRepository } from '../support/seed.ts';

const commit = 'd4ef3dc3b77a011a5779eec7efdd45a1b2c3d4e5';
const golden = {
  ref: { type: 'branch', name: String.raw`release-(?<imageTag>\w*)`, match: 'regexp' },
  imageTags: [{ template: '${imageTag}', buildTime: 'yyyyMMddHHmm', commitIdLength: 30 }],
};

let world: InboxWorld;
beforeAll(async () => {
  world = await createInboxWorld();
});
afterAll(() => world.close());
beforeEach(() => {
  vi.mocked(world.deps.git.refsList).mockReset().mockResolvedValue([]);
});

const preview = (body: object) => world.call('POST', '/v1/build-rules/preview', { body });

/** The refs of a source, each with a commit of its own letter. */
function sourceHas(refs: readonly (readonly ['branch' | 'tag', string])[]) {
  const letters = 'abcdef';
  vi.mocked(world.deps.git.refsList).mockResolvedValue(
    refs.map(([refType, ref], index) => {
      const id = (letters[index % letters.length] ?? 'a').repeat(40);
      return { refType, ref, commit: id, objectId: id };
    }),
  );
}

describe('the preview of a build rule', () => {
  it('shows the golden tag before anything is saved', async () => {
    const body = { rule: golden, ref: 'release-v1', commit, pushedAt: '2020-10-15T08:25:00Z' };
    expect(await preview(body)).toMatchObject({
      status: 200,
      body: {
        pushedAt: '2020-10-15T08:25:00.000Z',
        examined: 1,
        matched: 1,
        refs: [
          {
            ref: 'release-v1',
            refType: 'branch',
            commit,
            isExampleCommit: false,
            groups: { imageTag: 'v1' },
            imageTags: [{ tag: 'v1-202010151625-d4ef3dc3b77a011a5779eec7efdd45', code: null, text: null }],
            tags: ['v1-202010151625-d4ef3dc3b77a011a5779eec7efdd45'],
            problem: null,
          },
        ],
      },
    });
    expect(await world.deps.db.selectFrom('build_rule').select('id').execute()).toEqual([]);
  });

  it('tries the rule on the real branches of a repository, in the order people count', async () => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox);
    sourceHas([
      ['branch', 'release-v10'],
      ['branch', 'main'],
      ['tag', 'release-v7'],
      ['branch', 'release-v9'],
      ['branch', 'release-v1.2'],
    ]);
    const rule = { ...golden, imageTags: [{ template: '${imageTag}', commitIdLength: 6 }] };
    expect((await preview({ rule, repository: repository.id })).body).toMatchObject({
      examined: 4,
      matched: 2,
      refs: [
        { ref: 'release-v9', commit: 'd'.repeat(40), tags: ['v9-dddddd'] },
        { ref: 'release-v10', commit: 'a'.repeat(40), tags: ['v10-aaaaaa'] },
      ],
    });
    expect(world.deps.git.refsList).toHaveBeenCalledWith(
      'https://code.example.com/acme/app.git',
      expect.objectContaining({ credential: null }),
    );
  });

  it('tries git tags for a rule of git tags, and one ref with its newest commit when it is named', async () => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox);
    sourceHas([
      ['branch', 'v1.0.0'],
      ['tag', 'v1.0.0'],
      ['tag', 'nightly'],
    ]);
    const rule = {
      ref: { type: 'tag', name: '.*', match: 'regexp' },
      imageTags: [{ template: '${tag}-${shortSha}' }, { template: '${semver:major}' }],
    };
    expect((await preview({ rule, repository: repository.id })).body).toMatchObject({
      examined: 2,
      matched: 2,
      refs: [
        {
          ref: 'nightly',
          tags: ['nightly-ccccccc'],
          imageTags: [
            { tag: 'nightly-ccccccc' },
            { tag: null, code: null, text: expect.stringContaining('"nightly"') },
          ],
        },
        { ref: 'v1.0.0', tags: ['v1.0.0-bbbbbbb', '1'] },
      ],
    });
    expect((await preview({ rule, repository: repository.id, ref: 'v1.0.0' })).body).toMatchObject({
      examined: 1,
      refs: [{ ref: 'v1.0.0', commit: 'b'.repeat(40), isExampleCommit: false }],
    });
  });

  it('tells of each image tag that would end the build', async () => {
    const rule = {
      ref: { type: 'branch', name: 'feature/(?<name>.*)', match: 'regexp' },
      imageTags: [{ template: 'ok' }, { template: '${name}' }],
    };
    expect((await preview({ rule, ref: 'feature/a/b' })).body).toMatchObject({
      refs: [
        {
          groups: { name: 'a/b' },
          isExampleCommit: true,
          imageTags: [{ tag: 'ok' }, { tag: null, code: 'build.tag_invalid', text: expect.stringContaining('"a/b"') }],
          tags: [],
          problem: { code: 'build.tag_invalid', text: expect.stringContaining('"a/b"') },
        },
      ],
    });
  });

  it('of a ref the rule does not take matches nothing', async () => {
    for (const ref of ['release-v1.2', 'x-release-v1'])
      expect((await preview({ rule: golden, ref })).body).toMatchObject({ examined: 1, matched: 0, refs: [] });
  });

  it('without a repository tries an exact rule on its own ref, and a regular expression on nothing', async () => {
    const exact = { ref: { type: 'branch', name: 'main' }, imageTags: [{ template: '${sha}' }] };
    expect((await preview({ rule: exact })).body).toMatchObject({
      matched: 1,
      refs: [{ ref: 'main', isExampleCommit: true, tags: ['0123456789abcdef0123456789abcdef01234567'] }],
    });
    expect((await preview({ rule: golden })).body).toMatchObject({ examined: 0, matched: 0, refs: [] });
  });

  it('shows a hundred refs and counts them all', async () => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox);
    sourceHas(Array.from({ length: 250 }, (_, index) => ['branch', `release-${index}`] as const));
    const { body } = await preview({ rule: golden, repository: repository.id });
    expect(body).toMatchObject({ examined: 250, matched: 250 });
    expect(body?.['refs']).toHaveLength(100);
  });

  it.each([
    ['/rule/ref/name', 'regexp.invalid', { rule: { ...golden, ref: { ...golden.ref, name: '(?=x)' } } }],
    [
      '/rule/imageTags/0/template',
      'build_rule.unknown_group',
      { rule: { ...golden, imageTags: [{ template: '${nope}' }] } },
    ],
    ['/rule/timeoutMinutes', 'build_rule.timeout_minutes_invalid', { rule: { ...golden, timeoutMinutes: 0 } }],
    ['/commit', 'build_rule.commit_invalid', { rule: golden, commit: 'HEAD' }],
    ['/pushedAt', 'build_rule.pushed_at_invalid', { rule: golden, pushedAt: 'yesterday' }],
    ['/branch', 'request.unknown_field', { rule: golden, branch: 'x' }],
  ])('names what is wrong at %s by %s', async (pointer, code, body) => {
    expect(await preview(body)).toMatchObject({ status: 422, body: { errors: [{ pointer, code }] } });
  });

  it('says so when the repository is not there, is local, or its source does not answer', async () => {
    const repository = await seedRepository(world.deps.db, world.deps.secretBox);
    const ask = () => preview({ rule: golden, repository: repository.id });
    vi.mocked(world.deps.git.refsList).mockRejectedValueOnce(
      new SourceError('source.not_authorized', 'The source host refuses this login. Check it.'),
    );
    expect(await ask()).toMatchObject({ status: 409, body: { code: 'source.not_authorized' } });
    vi.mocked(world.deps.git.refsList).mockRejectedValueOnce(new SourceError('source.not_reachable', 'No answer.'));
    expect(await ask()).toMatchObject({
      status: 503,
      body: {
        code: 'source.not_reachable',
        detail:
          'The source host did not answer, so its branches and tags are not known. Try again in a moment; if it stays, check that the host is up.',
      },
    });
    await world.deps.db.deleteFrom('source_binding').where('repository_id', '=', repository.id).execute();
    expect(await ask()).toMatchObject({ status: 409, body: { code: 'build_rule.needs_source' } });
    expect(await preview({ rule: golden, repository: 'crr-none' })).toMatchObject({
      status: 404,
      body: { code: 'repository.not_found' },
    });
    expect((await world.call('POST', '/v1/build-rules/preview', { body: {}, isLoggedIn: false })).status).toBe(401);
  });
});
