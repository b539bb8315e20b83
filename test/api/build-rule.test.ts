import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { noteAutomaticStart } from '../../db/repositories/build-rule.ts';
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
let shop: string;
let sourceAccount: string;
let local: string;
let bound: string;

const codeSource = () => ({ codeSource: { sourceAccount, codeNamespace: 'acme', codeRepository: 'web' } });

beforeAll(async () => {
  api = await createTestApi();
  await createInstance(api, 'hangzhou');
  shop = await createNamespace(api, 'hangzhou', 'shop');
  sourceAccount = await createSourceAccount(api, 'hangzhou');
  local = await createRepository(api, shop, 'local');
  bound = await createRepository(api, shop, 'bound', codeSource());
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

  const ref = (change: object) => ({ ref: { type: 'branch', name: 'main', match: 'regexp', ...change } });
  const tag = (imageTag: object) => ({ imageTags: [imageTag] });
  const five = ['linux/amd64', 'linux/arm64', 'linux/386', 'linux/arm/v7', 'linux/arm/v6'];

  it.each([
    ['/ref', 'build_rule.ref_invalid', { ref: undefined }],
    ['/ref/type', 'build_rule.type_invalid', ref({ type: 'commit' })],
    ['/ref/name', 'build_rule.name_invalid', ref({ name: '' })],
    ['/ref/name', 'build_rule.name_invalid', ref({ name: 'a'.repeat(256) })],
    ['/ref/name', 'regexp.invalid', ref({ name: '(?=main)' })],
    ['/ref/name', 'regexp.invalid', ref({ name: String.raw`(a)\1` })],
    ['/ref/name', 'regexp.too_long', ref({ name: `${'a'.repeat(255)}b?` })],
    ['/ref/name', 'regexp.too_complex', ref({ name: '(abc){1,900}' })],
    ['/ref/match', 'build_rule.match_invalid', ref({ match: 'glob' })],
    ['/contextDirectory', 'build_rule.context_directory_invalid', { contextDirectory: '../up' }],
    ['/contextDirectory', 'build_rule.context_directory_invalid', { contextDirectory: 'a/../b' }],
    ['/contextDirectory', 'build_rule.context_directory_invalid', { contextDirectory: 'a\\b' }],
    ['/contextDirectory', 'build_rule.context_directory_invalid', { contextDirectory: 'a'.repeat(1_025) }],
    ['/dockerfile', 'build_rule.dockerfile_invalid', { dockerfile: '' }],
    ['/dockerfile', 'build_rule.dockerfile_invalid', { dockerfile: '../Dockerfile' }],
    ['/dockerfile', 'build_rule.dockerfile_invalid', { dockerfile: 'a'.repeat(256) }],
    ['/imageTags', 'build_rule.image_tags_invalid', { imageTags: [] }],
    ['/imageTags', 'build_rule.image_tags_invalid', { imageTags: Array(4).fill({ template: 'a' }) }],
    ['/imageTags/0', 'build_rule.image_tags_invalid', tag({})],
    ['/imageTags/0/template', 'build_rule.image_tags_invalid', tag({ template: '' })],
    ['/imageTags/0/template', 'build_rule.image_tags_invalid', tag({ template: 'a'.repeat(256) })],
    ['/imageTags/0/template', 'build_rule.unknown_group', tag({ template: '${nope}' })],
    ['/imageTags/0/template', 'build_rule.unknown_group', tag({ template: '${tag}' })],
    ['/imageTags/0/buildTime', 'build_rule.image_tags_invalid', tag({ buildTime: 'yyyy/MM/dd' })],
    ['/imageTags/0/buildTime', 'build_rule.image_tags_invalid', tag({ buildTime: 'yyyyMMdd-HHmmss-yyyyy' })],
    ['/imageTags/0/buildTime', 'build_rule.image_tags_invalid', tag({ buildTime: '-._' })],
    ['/imageTags/0/commitIdLength', 'build_rule.image_tags_invalid', tag({ commitIdLength: 0 })],
    ['/imageTags/0/commitIdLength', 'build_rule.image_tags_invalid', tag({ commitIdLength: 41 })],
    ['/imageTags/0/timeZone', 'build_rule.image_tags_invalid', tag({ template: 'a', timeZone: 'Moon/Base' })],
    ['/architectures', 'build_rule.architectures_invalid', { architectures: [] }],
    ['/architectures', 'build_rule.architectures_invalid', { architectures: [...five, 'linux/amd64'] }],
    ['/architectures', 'build_rule.architectures_invalid', { architectures: ['linux/amd64', 'linux/amd64'] }],
    ['/architectures/0', 'build_rule.architectures_invalid', { architectures: ['linux/sparc'] }],
    ['/timeoutMinutes', 'build_rule.timeout_minutes_invalid', { timeoutMinutes: 0 }],
    ['/timeoutMinutes', 'build_rule.timeout_minutes_invalid', { timeoutMinutes: 181 }],
    ['/timeoutMinutes', 'build_rule.timeout_minutes_invalid', { timeoutMinutes: 1.5 }],
    ['/enabled', 'build_rule.enabled_invalid', { enabled: 'yes' }],
    ['/paths/include/0', 'build_rule.paths_invalid', { paths: { include: ['../up'] } }],
    ['/paths/exclude', 'build_rule.paths_invalid', { paths: { exclude: Array(21).fill('a') } }],
    ['/paths', 'build_rule.paths_invalid', { ref: { type: 'tag', name: 'v1' }, paths: { include: ['a'] } }],
    ['/schedule/cron', 'build_rule.schedule_invalid', { schedule: { cron: '@daily' } }],
    ['/schedule/timeZone', 'build_rule.schedule_invalid', { schedule: { cron: '0 3 * * *', timeZone: 'Mars' } }],
    ['/schedule', 'build_rule.schedule_invalid', { ...ref({ name: 'm.*' }), schedule: { cron: '0 3 * * *' } }],
    ['/schedule/every', 'request.unknown_field', { schedule: { cron: '0 3 * * *', every: 'day' } }],
    ['/onBaseImageUpdate', 'build_rule.on_base_image_update_invalid', { onBaseImageUpdate: 1 }],
    ['/secrets/0/id', 'build_rule.secrets_invalid', { secrets: [{ id: 'a b', secretRef: 'x' }] }],
    ['/secrets/0/secretRef', 'build_rule.secrets_invalid', { secrets: [{ id: 'a', secretRef: 'nobody-added-it' }] }],
    ['/secrets', 'build_rule.secrets_invalid', { secrets: Array(21).fill({ id: 'a', secretRef: 'x' }) }],
    ['/targetStage', 'build_rule.target_stage_invalid', { targetStage: '--output=/etc' }],
    ['/targetStage', 'build_rule.target_stage_invalid', { targetStage: '' }],
    ['/allowPartial', 'build_rule.allow_partial_invalid', { allowPartial: null }],
    ['/colour', 'request.unknown_field', { colour: 'blue' }],
  ])('name what is wrong at %s by %s: %j', async (pointer, code, change) => {
    const answer = await api.call('POST', rules(), { body: { ...mainRule, ...change } });
    expect(answer.status).toBe(422);
    expect(answer.body?.['errors']).toContainEqual({ pointer, code, message: expect.stringMatching(/\.$/) });
  });

  it('take every field at its limit', async () => {
    const largest = {
      ref: { type: 'branch', name: 'a'.repeat(255) },
      contextDirectory: `/${'a'.repeat(1_023)}`,
      dockerfile: 'a'.repeat(255),
      imageTags: [
        { template: 'a'.repeat(255), buildTime: 'yyyy-MM-dd_HH.mm.ss-', commitIdLength: 40, timeZone: 'UTC' },
        { commitIdLength: 1 },
        { buildTime: 'ss' },
      ],
      architectures: five,
      timeoutMinutes: 180,
      paths: { include: Array(20).fill('a'.repeat(255)), exclude: [] },
      schedule: { cron: '*/5 0-6 1,15 JAN-MAR 0', timeZone: 'Asia/Shanghai' },
      onBaseImageUpdate: true,
      targetStage: 'a'.repeat(128),
      allowPartial: true,
    };
    const created = await create(api, rules(), largest);
    const imageTags = largest.imageTags.map((imageTag) => expect.objectContaining(imageTag));
    expect(created.body).toMatchObject({ ...largest, imageTags });
    const read = await api.call('GET', `/v1/build-rules/${textAt(created, 'id')}`);
    expect(read.body).toEqual(created.body);
  });

  it('are at most as many as the edition allows', async () => {
    const id = await createRepository(api, shop, 'many', codeSource());
    const { db } = api.database;
    await db.updateTable('instance').set({ edition: 'personal' }).execute();
    for (let count = 0; count < 5; count += 1) await create(api, `/v1/repositories/${id}/build-rules`, mainRule);
    expect(await api.call('POST', `/v1/repositories/${id}/build-rules`, { body: mainRule })).toMatchObject({
      status: 409,
      body: { code: 'quota.exceeded', quota: 'buildRulesPerRepository', limit: 5, used: 5 },
    });
    await db.updateTable('instance').set({ edition: 'advanced' }).execute();
  });

  it('tell what became of their last start by the clock: reading again sees it, and it stands in the way of no change', async () => {
    const made = await create(api, rules(), { ...mainRule, schedule: { cron: '0 3 * * *' } });
    const id = textAt(made, 'id');
    expect(made.body).toMatchObject({ lastAutomaticStart: null });
    const reason = {
      code: 'source.ref_not_found',
      params: { ref: 'main' },
      text: 'The source has no branch "main" now.',
    };
    const at = '2026-11-21T03:00:00.000Z';
    const start = { cause: 'schedule', ref: 'main', outcome: 'not_started', run: null, reason, at } as const;
    await noteAutomaticStart(api.deps.db, id, start);
    const path = `/v1/build-rules/${id}`;
    const told = await api.call('GET', path, { headers: { 'if-none-match': '"1"' } });
    expect(told).toMatchObject({ status: 200, body: { lastAutomaticStart: start, version: 1 } });
    const etag = told.headers.get('etag') ?? '';
    expect((await api.call('GET', path, { headers: { 'if-none-match': etag } })).status).toBe(304);
    const change = (version: string) => api.call('PUT', path, { body: mainRule, headers: { 'if-match': version } });
    expect((await change(etag)).body).toMatchObject({ version: 2, lastAutomaticStart: start });
    expect((await change(etag)).status).toBe(412);
    expect((await change('"2"')).status).toBe(200);
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
