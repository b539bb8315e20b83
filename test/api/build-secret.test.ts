import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Database } from '../../db/database.ts';
import { findBuildSecretRefs } from '../../db/repositories/build-secret.ts';
import { openSecret } from '../../db/repositories/secret.ts';
import { create, textAt } from '../support/api.ts';
import { createInstance, createNamespace, createSourceAccount, mainRule } from '../support/api-world.ts';
import { createInboxWorld } from '../support/inbox-world.ts';
import type { InboxWorld } from '../support/inbox-world.ts';
import { seedRepository } from '../support/seed.ts';

const canary = 'canary-b7f1e2-npm-token';
const newCanary = 'canary-second-9c4d';

let world: InboxWorld;
beforeAll(async () => {
  world = await createInboxWorld();
  await createInstance(world, 'hangzhou');
});
afterAll(() => world.close());

/** A secret of a namespace of its own. */
async function addSecret(namespace: string, name = 'npm-token') {
  const namespaceId = await createNamespace(world, 'hangzhou', namespace);
  const secret = await create(world, `/v1/namespaces/${namespaceId}/secrets`, { name, value: canary });
  return { namespaceId, secret, path: `/v1/secrets/${textAt(secret, 'id')}` };
}

async function openByName(namespaceId: string, name: string) {
  const { db, secretBox } = world.deps;
  const ref = (await findBuildSecretRefs(db, { namespaceId, names: [name] })).get(name);
  return ref === undefined ? undefined : openSecret(db, secretBox, ref);
}

describe('build secrets', () => {
  it('are added, listed by name and opened by builds, but never answered', async () => {
    const { namespaceId, secret } = await addSecret('listed', 'npm.token_1');
    await create(world, `/v1/namespaces/${namespaceId}/secrets`, { name: 'a-first', value: canary });
    expect(secret.body).toEqual({
      id: expect.stringMatching(/^bsec-[a-z0-9]{16}$/),
      namespaceId,
      name: 'npm.token_1',
      rules: 0,
      createdAt: '2026-11-21T12:00:00.000Z',
      updatedAt: '2026-11-21T12:00:00.000Z',
    });
    const first = await world.call('GET', `/v1/namespaces/${namespaceId}/secrets?limit=1`);
    expect(first.body).toMatchObject({ items: [{ name: 'a-first' }] });
    const cursor = textAt(first, 'nextCursor');
    const next = await world.call('GET', `/v1/namespaces/${namespaceId}/secrets?limit=1&cursor=${cursor}`);
    expect(next.body).toMatchObject({ items: [{ name: 'npm.token_1' }], nextCursor: null });
    expect(await openByName(namespaceId, 'npm.token_1')).toBe(canary);
  });

  it('take a new value under the same name', async () => {
    const { namespaceId, path } = await addSecret('replaced');
    world.passTime(60_000);
    const answer = await world.call('PUT', path, { body: { value: newCanary } });
    expect(answer).toMatchObject({ status: 200, body: { name: 'npm-token' } });
    expect(Date.parse(textAt(answer, 'updatedAt'))).toBe(Date.parse(textAt(answer, 'createdAt')) + 60_000);
    expect(await openByName(namespaceId, 'npm-token')).toBe(newCanary);
  });

  it('keep their value when none is given, and their name always', async () => {
    const { namespaceId, path } = await addSecret('kept');
    expect(await world.call('PUT', path, { body: { name: 'npm-token' } })).toMatchObject({ status: 200 });
    expect(await openByName(namespaceId, 'npm-token')).toBe(canary);
    expect(await world.call('PUT', path, { body: { name: 'other', value: newCanary } })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/name', code: 'secret.name_invalid' }] },
    });
    expect(await world.call('PUT', path, { body: { value: null } })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/value', code: 'secret.value_invalid' }] },
    });
    expect(await openByName(namespaceId, 'npm-token')).toBe(canary);
  });

  it('are deleted with their sealed value', async () => {
    const { namespaceId, path } = await addSecret('deleted');
    expect((await world.call('DELETE', path)).status).toBe(204);
    expect(await openByName(namespaceId, 'npm-token')).toBeUndefined();
    const sealed = world.deps.db.selectFrom('secret').select('id').where('owner_id', '=', namespaceId);
    expect(await sealed.execute()).toEqual([]);
    expect(await world.call('PUT', path, { body: { value: newCanary } })).toMatchObject({
      status: 404,
      body: { code: 'secret.not_found' },
    });
  });

  it('go with their namespace', async () => {
    const { namespaceId } = await addSecret('doomed');
    expect((await world.call('DELETE', `/v1/namespaces/${namespaceId}`)).status).toBe(204);
    const sealed = world.deps.db.selectFrom('secret').select('id').where('owner_id', '=', namespaceId);
    expect(await sealed.execute()).toEqual([]);
  });

  it('have a name once in a namespace, and the same name elsewhere', async () => {
    const { namespaceId } = await addSecret('twice');
    await addSecret('twice-elsewhere');
    const again = { name: 'npm-token', value: canary };
    expect(await world.call('POST', `/v1/namespaces/${namespaceId}/secrets`, { body: again })).toMatchObject({
      status: 409,
      body: {
        code: 'secret.exists',
        detail:
          'The namespace already has a secret named "npm-token". Choose another name, or change the existing one.',
      },
    });
  });

  it.each([
    ['a name with a slash', { name: 'a/b', value: canary }, '/name', 'secret.name_invalid'],
    ['a name of 65 characters', { name: 'a'.repeat(65), value: canary }, '/name', 'secret.name_invalid'],
    ['no name', { name: '', value: canary }, '/name', 'secret.name_invalid'],
    ['a value too short to be masked', { name: 'a', value: '12345' }, '/value', 'secret.value_invalid'],
    ['a value over 64 KiB', { name: 'a', value: 'ä'.repeat(32_769) }, '/value', 'secret.value_invalid'],
    ['a field nobody knows', { name: 'a', value: canary, kind: 'x' }, '/kind', 'request.unknown_field'],
  ])('are refused with %s', async (_, body, pointer, code) => {
    const namespaceId = await createNamespace(world, 'hangzhou', `refused-${randomBytes(4).toString('hex')}`);
    const answer = await world.call('POST', `/v1/namespaces/${namespaceId}/secrets`, { body });
    expect(answer).toMatchObject({ status: 422, body: { errors: [{ pointer, code }] } });
    expect(JSON.stringify(answer.body)).not.toContain(canary);
  });

  it('of 64 characters and 64 KiB are taken', async () => {
    const namespaceId = await createNamespace(world, 'hangzhou', 'large');
    const largest = { name: 'a'.repeat(64), value: 'x'.repeat(65_536) };
    const answer = await world.call('POST', `/v1/namespaces/${namespaceId}/secrets`, { body: largest });
    expect(answer.status).toBe(201);
  });

  it('need a login', async () => {
    for (const [method, path] of [
      ['GET', '/v1/namespaces/x/secrets'],
      ['POST', '/v1/namespaces/x/secrets'],
      ['PUT', '/v1/secrets/x'],
      ['DELETE', '/v1/secrets/x'],
    ] as const)
      expect((await world.call(method, path, { isLoggedIn: false })).status).toBe(401);
  });
});

describe('a build rule', () => {
  const withSecret = { ...mainRule, secrets: [{ id: 'npm', secretRef: 'npm-token' }], targetStage: 'runtime' };

  it('names secrets of its namespace, which then cannot be deleted', async () => {
    const { db, secretBox } = world.deps;
    const repository = await seedRepository(db, secretBox);
    const secrets = `/v1/namespaces/${repository.namespaceId}/secrets`;
    const secret = await create(world, secrets, { name: 'npm-token', value: canary });
    const rule = await create(world, `/v1/repositories/${repository.id}/build-rules`, withSecret);
    expect(rule.body).toMatchObject({ secrets: withSecret.secrets, targetStage: 'runtime' });
    expect((await world.call('GET', secrets)).body).toMatchObject({ items: [{ name: 'npm-token', rules: 1 }] });
    const path = `/v1/secrets/${textAt(secret, 'id')}`;
    expect(await world.call('DELETE', path)).toMatchObject({
      status: 409,
      body: { code: 'secret.in_use', repositories: ['app'] },
    });
    const plain = { body: mainRule, headers: { 'if-match': '"1"' } };
    expect((await world.call('PUT', `/v1/build-rules/${textAt(rule, 'id')}`, plain)).status).toBe(200);
    expect((await world.call('DELETE', path)).status).toBe(204);
  });

  it('that names a secret of another namespace is refused when it is made and when it is changed', async () => {
    const { db, secretBox } = world.deps;
    const repository = await seedRepository(db, secretBox);
    await addSecret('others');
    const rules = `/v1/repositories/${repository.id}/build-rules`;
    const refusal = { pointer: '/secrets/0/secretRef', code: 'build_rule.secrets_invalid' };
    expect(await world.call('POST', rules, { body: withSecret })).toMatchObject({
      status: 422,
      body: { errors: [refusal] },
    });
    const path = `/v1/build-rules/${textAt(await create(world, rules, mainRule), 'id')}`;
    const change = { body: withSecret, headers: { 'if-match': '"1"' } };
    expect(await world.call('PUT', path, change)).toMatchObject({ status: 422, body: { errors: [refusal] } });
    expect((await world.call('GET', path)).body).toMatchObject({ secrets: [], version: 1 });
  });
});

describe('a repository made with its rules', () => {
  it('is not made when a rule names a secret the namespace does not have', async () => {
    const { namespaceId } = await addSecret('wizard');
    const sourceAccount = await createSourceAccount(world, 'hangzhou');
    const make = (secretRef: string) =>
      world.call('POST', `/v1/namespaces/${namespaceId}/repositories`, {
        body: {
          name: 'web',
          codeSource: { sourceAccount, codeNamespace: 'acme', codeRepository: 'web' },
          buildRules: [mainRule, { ...mainRule, secrets: [{ id: 'npm', secretRef }] }],
        },
      });
    expect(await make('nobody-added-it')).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/buildRules/1/secrets/0/secretRef', code: 'build_rule.secrets_invalid' }] },
    });
    const list = await world.call('GET', `/v1/namespaces/${namespaceId}/repositories`);
    expect(list.body?.['items']).toEqual([]);
    expect((await make('npm-token')).status).toBe(201);
  });
});

describe('a rule and the deletion of its secret at the same moment', () => {
  it('never leave a rule that names no secret', async () => {
    const { db, secretBox } = world.deps;
    const repository = await seedRepository(db, secretBox);
    for (const round of Array.from({ length: 12 }, (_, index) => index)) {
      const name = `race-${round}`;
      const secret = await create(world, `/v1/namespaces/${repository.namespaceId}/secrets`, { name, value: canary });
      const rule = { ...mainRule, secrets: [{ id: 'npm', secretRef: name }] };
      const answers = await Promise.all([
        world.call('POST', `/v1/repositories/${repository.id}/build-rules`, { body: rule }),
        world.call('DELETE', `/v1/secrets/${textAt(secret, 'id')}`),
      ]);
      expect([
        [201, 409],
        [422, 204],
      ]).toContainEqual(answers.map(({ status }) => status));
    }
  });
});

describe('the value of a build secret', () => {
  it('stands in no answer, event, log or run, and in the database only sealed', async () => {
    const { db, secretBox } = world.deps;
    const repository = await seedRepository(db, secretBox);
    const secrets = `/v1/namespaces/${repository.namespaceId}/secrets`;
    const secret = await create(world, secrets, { name: 'npm-token', value: canary });
    const rule = await create(world, `/v1/repositories/${repository.id}/build-rules`, {
      ...mainRule,
      secrets: [{ id: 'npm', secretRef: 'npm-token' }],
    });
    await world.push(repository, { after: 'e'.repeat(40) });
    const path = `/v1/secrets/${textAt(secret, 'id')}`;
    const keyed = { body: { value: newCanary }, headers: { 'idempotency-key': 'once' } };
    await world.call('PUT', path, keyed);

    const [run] = await world.runsOf(repository);
    const answers = [
      secret,
      await world.call('GET', secrets),
      await world.call('GET', path),
      await world.call('GET', `/v1/build-rules/${textAt(rule, 'id')}`),
      await world.call('GET', `/v1/repositories/${repository.id}/builds`),
      await world.call('GET', `/v1/runs/${run?.id}`),
      await world.call('PUT', path, { body: { value: newCanary, name: 'renamed' } }),
    ];
    const shown = JSON.stringify([answers.map(({ body }) => body), run, world.engine.startRun.mock.calls]);
    for (const value of [canary, newCanary]) expect(shown).not.toContain(value);

    const dump = await dumpDatabase(db);
    expect(dump).toContain('npm-token');
    for (const value of [canary, newCanary])
      for (const form of [value, Buffer.from(value).toString('base64'), Buffer.from(value).toString('hex')])
        expect(dump).not.toContain(form);
  });
});

/** Every row of every table as text. */
async function dumpDatabase(db: Database): Promise<string> {
  const tables = await sql<{
    name: string;
  }>`select tablename as name from pg_tables where schemaname = 'public'`.execute(db);
  const dumps = tables.rows.map(({ name }) =>
    sql<{ row: string }>`select whole::text as row from ${sql.table(name)} as whole`.execute(db),
  );
  return (await Promise.all(dumps)).flatMap(({ rows }) => rows.map(({ row }) => row)).join('\n');
}
