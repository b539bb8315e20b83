import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { create, createTestApi, textAt } from '../support/api.ts';
import type { TestApi } from '../support/api.ts';
import {
  createInstance,
  createNamespace,
  createRepository,
  createSourceAccount,
  mainRule,
} from '../support/api-world.ts';

let api: TestApi;
let local: string;
let bound: string;

beforeAll(async () => {
  api = await createTestApi();
  await createInstance(api, 'hangzhou');
  const shop = await createNamespace(api, 'hangzhou', 'shop');
  const sourceAccount = await createSourceAccount(api, 'hangzhou');
  local = await createRepository(api, shop, 'local');
  bound = await createRepository(api, shop, 'bound', {
    codeSource: { sourceAccount, codeNamespace: 'acme', codeRepository: 'web' },
  });
});
afterAll(() => api.close());

const rules = () => `/v1/repositories/${bound}/build-rules`;

describe('build rules', () => {
  it('have defaults that build branch main, and tell whether the Build button may be pressed', async () => {
    const simple = await create(api, rules(), mainRule);
    expect(simple.headers.get('etag')).toBe('"1"');
    expect(simple.body).toMatchObject({
      repository: bound,
      contextDirectory: '/',
      dockerfile: 'Dockerfile',
      architectures: ['linux/amd64'],
      timeoutMinutes: 60,
      enabled: true,
      isManualBuildAllowed: true,
      manualBuildRefusal: null,
      version: 1,
    });
    const timed = await create(api, rules(), { ...mainRule, imageTags: [{ buildTime: 'yyyyMMddHHmm' }] });
    expect(timed.body).toMatchObject({
      isManualBuildAllowed: false,
      manualBuildRefusal: 'an image tag holds the time of the source push, and there was none',
    });
  });

  it('are not for a local repository', async () => {
    const answer = await api.call('POST', `/v1/repositories/${local}/build-rules`, { body: mainRule });
    expect(answer.status).toBe(409);
    expect(answer.body).toMatchObject({
      code: 'build_rule.needs_source',
      detail:
        '"shop/local" is a local repository: it is pushed to and never built, so it takes no build rule. Bind a source first.',
    });
  });

  it.each([
    ['/imageTags', 'build_rule.image_tags_invalid', { imageTags: Array(4).fill({ template: 'a' }) }],
    ['/imageTags/0', 'build_rule.image_tags_invalid', { imageTags: [{}] }],
    ['/contextDirectory', 'build_rule.context_directory_invalid', { contextDirectory: '../up' }],
    ['/timeoutMinutes', 'build_rule.timeout_minutes_invalid', { timeoutMinutes: 181 }],
    ['/architectures/0', 'build_rule.architectures_invalid', { architectures: ['linux/sparc'] }],
    ['/ref/name', 'regexp.too_long', { ref: { type: 'branch', name: 'a'.repeat(255) + 'b?', match: 'regexp' } }],
    ['/ref/name', 'regexp.too_complex', { ref: { type: 'branch', name: '(abc){1,900}', match: 'regexp' } }],
    [
      '/buildParameters/0/key',
      'build_rule.parameter_reserved',
      { buildParameters: [{ key: 'HTTP_PROXY', value: 'x' }] },
    ],
    [
      '/buildParameters',
      'build_rule.build_parameters_invalid',
      { buildParameters: Array.from({ length: 21 }, (_, index) => ({ key: `K${index}`, value: 'x' })) },
    ],
  ])('name what is wrong at %s by %s', async (pointer, code, change) => {
    const answer = await api.call('POST', rules(), { body: { ...mainRule, ...change } });
    expect(answer.status).toBe(422);
    expect(answer.body?.['errors']).toContainEqual(expect.objectContaining({ pointer, code }));
  });

  it('are changed and deleted only by who saw the newest version', async () => {
    const path = `/v1/build-rules/${textAt(await create(api, rules(), mainRule), 'id')}`;
    const blind = await api.call('PUT', path, { body: mainRule });
    expect([blind.status, blind.body?.['code']]).toEqual([428, 'request.precondition_required']);
    const first = await api.call('PUT', path, {
      body: { ...mainRule, timeoutMinutes: 30 },
      headers: { 'if-match': '"1"' },
    });
    expect(first.headers.get('etag')).toBe('"2"');
    const late = await api.call('PUT', path, {
      body: { ...mainRule, timeoutMinutes: 90 },
      headers: { 'if-match': '"1"' },
    });
    expect([late.status, late.body?.['code']]).toEqual([412, 'request.stale']);
    expect(late.body?.['current']).toEqual(first.body);
    const held = await api.call('GET', path, { headers: { 'if-none-match': '"2"' } });
    expect([held.status, held.body]).toEqual([304, null]);
    expect((await api.call('DELETE', path)).status).toBe(428);
    expect((await api.call('DELETE', path, { headers: { 'if-match': '"2"' } })).status).toBe(204);
    expect(textAt(await api.call('GET', path), 'code')).toBe('build_rule.not_found');
  });
});
