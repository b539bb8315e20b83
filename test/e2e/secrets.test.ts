import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { Client, Connection } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { sql } from 'kysely';
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { createDatabase } from '../../db/database.ts';
import { checkoutSample, runOf, stackApi, stackFile, untilRun } from '../support/stack-world.ts';

/** Every form a secret could leak in. */
function formsOf(secret: string): string[] {
  return [
    secret,
    Buffer.from(secret).toString('base64'),
    encodeURIComponent(secret),
    JSON.stringify(secret).slice(1, -1),
  ];
}

let canaries: ReadonlyMap<string, readonly string[]>;

/** The names of the secrets that stand in a text: none must. */
function leaksIn(text: string): string[] {
  return [...canaries].filter(([, forms]) => forms.some((form) => text.includes(form))).map(([name]) => name);
}

/** Secrets the stack made itself, of every kind, and one run each that succeeds and that fails while they are in use. */
beforeAll(async () => {
  const { home, adminToken } = stackFile();
  const api = stackApi();
  const passwords = z
    .record(z.string(), z.string())
    .parse(JSON.parse(await readFile(join(home, 'keys', 'passwords.json'), 'utf8')));
  const hooks = z
    .record(z.string(), z.object({ secret: z.string() }))
    .parse(JSON.parse(await readFile(join(home, 'git', 'hooks.json'), 'utf8')));
  const list = z.object({ items: z.array(z.looseObject({ id: z.string() })) });
  const found = await api.call('GET', '/v1/repositories?instance=hangzhou&namespace=shop&name=web', { answer: list });
  const triggers = await api.call('GET', `/v1/repositories/${found.items[0]?.id}/triggers`, { answer: list });
  const rotated = await api.call('POST', `/v1/triggers/${triggers.items[0]?.id}/rotate-secret`, {
    answer: z.looseObject({ secret: z.string() }),
  });
  const secrets = {
    'git password': passwords['git'] ?? '',
    'object store key': passwords['objectStoreSecretKey'] ?? '',
    'postgres password': passwords['postgres'] ?? '',
    'administrator token': adminToken,
    'hook secret': hooks['shop/web']?.secret ?? '',
    'trigger secret': rotated.secret,
  };
  const short = Object.entries(secrets).filter(([, secret]) => secret.length < 16);
  if (short.length > 0) throw new Error(`no canaries: ${short.map(([name]) => name).join(', ')}`);
  canaries = new Map(Object.entries(secrets).map(([name, secret]) => [name, formsOf(secret)]));

  const checkout = await checkoutSample();
  const good = await checkout.push('main', {
    Dockerfile: 'FROM debian:bookworm-slim\nRUN env && echo good > /etc/mark\n',
  });
  await untilRun(api, await runOf(api, good));
  const bad = await checkout.push('main', { Dockerfile: 'FROM debian:bookworm-slim\nRUN env && exit 3\n' });
  await untilRun(api, await runOf(api, bad));
  await checkout.remove();
}, 300_000);

describe('no secret stands', () => {
  test('in the decoded history of any workflow', async () => {
    const { address, namespace } = stackFile().temporal;
    const connection = await Connection.connect({ address });
    const client = new Client({ connection, namespace });
    let histories = 0;
    for await (const { workflowId, runId, memo } of client.workflow.list()) {
      const history = historyToJSON(await client.workflow.getHandle(workflowId, runId).fetchHistory());
      // Payloads are base64 in this form.
      const payloads = [...history.matchAll(/"data": ?"([A-Za-z0-9+/=]+)"/g)].map(([, data = '']) =>
        Buffer.from(data, 'base64').toString('utf8'),
      );
      expect(leaksIn([history, ...payloads, JSON.stringify(memo)].join('\n')), workflowId).toEqual([]);
      histories += 1;
    }
    await connection.close();
    expect(histories).toBeGreaterThan(3);
  });

  test('in any row of the database', async () => {
    const db = createDatabase({ url: stackFile().postgres.url, maxConnections: 1 });
    const tables = await db.introspection.getTables();
    for (const { name } of tables) {
      const { rows } = await sql<{ row: string }>`select t::text as row from ${sql.table(name)} as t`.execute(db);
      for (const { row } of rows) expect(leaksIn(row), name).toEqual([]);
      // A bytea is hexadecimal in that text.
      for (const { row } of rows)
        for (const [, hex = ''] of row.matchAll(/\\x([0-9a-f]{16,})/g))
          expect(leaksIn(Buffer.from(hex, 'hex').toString('latin1')), name).toEqual([]);
    }
    await db.destroy();
    expect(tables.length).toBeGreaterThan(20);
  });

  test('in any stored object: logs, reports, sources', async () => {
    const files = await filesUnder(join(stackFile().home, 'objects'));
    expect(files.some((file) => file.endsWith('.zst'))).toBe(true);
    for (const file of files) {
      const bytes = await readFile(file);
      const text = file.endsWith('.zst') ? zstdDecompressSync(bytes).toString('utf8') : bytes.toString('latin1');
      expect(leaksIn(text), file).toEqual([]);
    }
  });

  test('in any log of a part', async () => {
    for (const file of await filesUnder(join(stackFile().home, 'logs'))) {
      expect(leaksIn(await readFile(file, 'utf8')), file).toEqual([]);
    }
  });

  test('in what the API answers about rules, accounts, triggers and runs', async () => {
    const { url, adminToken } = stackFile();
    const answerOf = async (path: string) =>
      (await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${adminToken}` } })).text();
    const list = z.object({ items: z.array(z.looseObject({ id: z.string() })) });
    const api = stackApi();
    const [repository] = (
      await api.call('GET', '/v1/repositories?instance=hangzhou&namespace=shop&name=web', { answer: list })
    ).items;
    const runs = (await api.call('GET', '/v1/runs', { answer: list })).items;
    const paths = [
      '/v1/instances',
      '/v1/instances/hangzhou/source-accounts',
      `/v1/repositories/${repository?.id}/source-binding`,
      `/v1/repositories/${repository?.id}/triggers`,
      `/v1/repositories/${repository?.id}/source-events`,
      ...runs.slice(0, 5).map(({ id }) => `/v1/runs/${id}`),
    ];
    for (const path of paths) expect(leaksIn(await answerOf(path)), path).toEqual([]);
  });
});

async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}
