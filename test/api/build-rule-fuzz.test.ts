import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createRuleWorld, exampleOne, ruleCommit } from '../support/rule-world.ts';
import type { RuleRepository, RuleWorld } from '../support/rule-world.ts';

let world: RuleWorld;
let repository: RuleRepository;
beforeAll(async () => {
  world = await createRuleWorld();
  repository = await world.makeRepository([exampleOne]);
});
afterAll(() => world.close());
beforeEach(() => {
  vi.mocked(world.deps.git.refResolve).mockReset().mockResolvedValue(ruleCommit);
});

/** Text as it comes: any characters, halves of pairs, and what databases and terminals stumble over. */
const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.constantFrom('\0', 'a\0b', '\ud800', '\udfff', '\u202e', '{}', '${', '../', '-rf', '\r\n', '%00'),
);
const anyValue = fc.oneof(anyText, fc.jsonValue({ maxDepth: 2 }), fc.constantFrom(-1, 1e21, [], {}, [[]]));

/** A rule of every field, one of them replaced. */
const whole = {
  ...exampleOne,
  contextDirectory: '/',
  dockerfile: 'Dockerfile',
  architectures: ['linux/amd64'],
  buildParameters: [{ key: 'A', value: '1' }],
  timeoutMinutes: 60,
  enabled: true,
  paths: { include: ['a/**'], exclude: [] },
  schedule: { cron: '0 3 * * *', timeZone: 'UTC' },
  onBaseImageUpdate: false,
  targetStage: 'runtime',
  allowPartial: false,
};
const places = [
  'ref.name',
  'ref.type',
  'imageTags.0.template',
  'imageTags.0.timeZone',
  'buildParameters.0.value',
].concat(
  ['buildParameters.0.key', 'paths.include.0', 'schedule.cron', 'schedule.timeZone', 'secrets'],
  Object.keys(whole),
);
const anyRule = fc.tuple(fc.constantFrom(...places), anyValue).map(([place, value]) => replaced(whole, place, value));

function replaced(body: object, place: string, value: unknown): unknown {
  const copy = structuredClone(body);
  const keys = place.split('.');
  const last = keys.pop() ?? '';
  const parent = keys.reduce<unknown>((inner, key) => Reflect.get(Object(inner), key), copy);
  Reflect.set(Object(parent), last, value);
  return copy;
}

async function statusOf(method: string, path: string, body: unknown): Promise<number> {
  return (await world.call(method, path, { body })).status;
}

describe('whatever a request holds', () => {
  it('a build rule is taken or refused, never a failure of ours', async () => {
    await fc.assert(
      fc.asyncProperty(anyRule, async (rule) => {
        expect([200, 422]).toContain(await statusOf('POST', '/v1/build-rules/preview', { rule, ref: 'main' }));
        expect([201, 409, 422]).toContain(await statusOf('POST', `${repository.path}/build-rules`, rule));
      }),
      { numRuns: 300 },
    );
  });

  it('so are an import and a secret', async () => {
    const hub = { source_type: 'Branch', source_name: '/^v(.*)$/', docker_tag: 'latest', build_context: '/' };
    const anyHubRule = fc
      .tuple(fc.constantFrom(...Object.keys(hub), 'autobuild', 'envvars'), anyValue)
      .map(([place, value]) => replaced(hub, place, value));
    const { namespace_id: namespaceId } = await world.deps.db
      .selectFrom('repository')
      .select('namespace_id')
      .where('id', '=', repository.id)
      .executeTakeFirstOrThrow();
    await fc.assert(
      fc.asyncProperty(anyHubRule, anyValue, anyValue, async (rule, name, value) => {
        const dryRun = `${repository.path}/build-rules/import?dryRun=true`;
        expect([200, 422]).toContain(await statusOf('POST', dryRun, { rules: [rule] }));
        expect([201, 409, 422]).toContain(
          await statusOf('POST', `/v1/namespaces/${namespaceId}/secrets`, { name, value }),
        );
        const secret = { name: 'n', value };
        expect([201, 409, 422]).toContain(await statusOf('POST', `/v1/namespaces/${namespaceId}/secrets`, secret));
      }),
      { numRuns: 200 },
    );
  });
});

describe('text no database keeps', () => {
  it.each([
    ['/contextDirectory', { ...exampleOne, contextDirectory: 'a\0b' }],
    ['/imageTags/0/template', { ...exampleOne, imageTags: [{ template: 'a\ud800' }] }],
    ['/a~1b/0', { ...exampleOne, 'a/b': ['\udc00'] }],
    ['', { ...exampleOne, '\0': 1 }],
  ])('is refused at %s', async (pointer, body) => {
    expect(await world.call('POST', `${repository.path}/build-rules`, { body })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer, code: 'request.text_invalid' }] },
    });
  });

  it('is found at any depth', async () => {
    const body = `{"colour":${'['.repeat(20_000)}"\\u0000"${']'.repeat(20_000)}}`;
    const answer = await world.call('POST', `${repository.path}/build-rules`, { body });
    expect(answer).toMatchObject({ status: 422, body: { errors: [{ code: 'request.text_invalid' }] } });
  });

  it('is refused in an address, and a whole pair is taken', async () => {
    for (const path of ['/v1/build-rules/a%00b', '/v1/repositories?name=%00'])
      expect(await world.call('GET', path)).toMatchObject({ status: 422, body: { errors: [{ pointer: '?' }] } });
    const buildParameters = [{ key: 'SMILE', value: '\u{1f600}' }];
    const body = JSON.stringify({ ...exampleOne, buildParameters }).replace('\u{1f600}', '\\ud83d\\ude00');
    expect(await world.call('POST', `${repository.path}/build-rules`, { body })).toMatchObject({
      status: 201,
      body: { buildParameters },
    });
  });
});
