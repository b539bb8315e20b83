import { Webhook } from 'standardwebhooks';
import { afterEach, expect, test } from 'vitest';
import type { EgressPolicy } from '../../domain/egress.ts';
import { createEgress, type EgressOptions } from '../../activities/drivers/egress.ts';
import { createWebhookSender, type WebhookInput } from '../../activities/drivers/webhook.ts';
import { selfSigned } from '../support/certificate.ts';
import { openReceiverZoo, type ReceiverZoo } from '../support/receiver-zoo.ts';

const zoos: ReceiverZoo[] = [];

afterEach(async () => {
  await Promise.all(zoos.splice(0).map((zoo) => zoo.close()));
});

async function openZoo(options: Parameters<typeof openReceiverZoo>[0] = {}): Promise<ReceiverZoo> {
  const zoo = await openReceiverZoo(options);
  zoos.push(zoo);
  return zoo;
}

const loopback: EgressPolicy = { allow: ['loopback'], denied: [], ports: 'any', isHttpAllowed: true };
const key = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const oldKey = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;
const never = new AbortController().signal;

function newSender({ egress = {}, timeoutMs }: { egress?: Partial<EgressOptions>; timeoutMs?: number } = {}) {
  return createWebhookSender({
    openEgress: (options) => createEgress({ policy: loopback, ...egress, ...options }),
    clock: () => new Date(),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
}

function send(
  url: string,
  {
    input = {},
    options = {},
    caCertificate = null,
    signal = never,
  }: {
    input?: Partial<WebhookInput>;
    options?: Parameters<typeof newSender>[0];
    caCertificate?: string | null;
    signal?: AbortSignal;
  } = {},
) {
  const sender = newSender(options);
  const request = sender.webhookPrepare({
    url,
    webhookId: 'msg_0123456789abcdef0123456789abcdef',
    at: new Date(),
    body: '{"type":"image.updated"}',
    keys: [key],
    headers: [],
    ...input,
  });
  return sender.webhookSend(request, { caCertificate, signal });
}

test('the reference library verifies what the receiver got, and refuses it when a byte is changed', async () => {
  const zoo = await openZoo();
  const body = '{"type":"image.updated","data":{"tag":"vérité-☃"}}';
  await send(`${zoo.url}/status/204`, { input: { body } });
  const [got] = zoo.received;
  expect(new Webhook(key).verify(got?.body ?? '', { ...got?.headers })).toEqual(JSON.parse(body));
  expect(() => new Webhook(key).verify(`${got?.body} `, { ...got?.headers })).toThrow('No matching signature');
  expect(() => new Webhook(oldKey).verify(got?.body ?? '', { ...got?.headers })).toThrow('No matching signature');
  expect(got?.headers).toMatchObject({
    'content-type': 'application/json',
    'user-agent': 'Slipway',
    'webhook-id': 'msg_0123456789abcdef0123456789abcdef',
  });
});

test('while a key is rotated, the old and the new one both verify', async () => {
  const zoo = await openZoo();
  await send(`${zoo.url}/status/204`, { input: { keys: [key, oldKey] } });
  const [got] = zoo.received;
  for (const each of [key, oldKey])
    expect(() => new Webhook(each).verify(got?.body ?? '', { ...got?.headers })).not.toThrow();
});

test('the timestamp is in seconds and of this attempt', () => {
  const request = newSender().webhookPrepare({
    url: 'https://ci.example/hook',
    webhookId: 'msg_1',
    at: new Date('2026-01-01T00:00:00.900Z'),
    body: '{}',
    keys: [key],
    headers: [],
  });
  expect(request.headers['webhook-timestamp']).toBe('1767225600');
});

test.each([200, 204, 299, 301, 400, 404, 410, 500, 503])('the answer %i is told as it is', async (status) => {
  const zoo = await openZoo();
  expect(await send(`${zoo.url}/status/${status}`)).toMatchObject({ statusCode: status, errorClass: null });
});

test('a redirect is an answer and is not followed', async () => {
  const zoo = await openZoo();
  expect(await send(`${zoo.url}/redirect`)).toMatchObject({
    statusCode: 302,
    responseHeaders: { location: '/status/200' },
  });
  expect(zoo.received.map(({ path }) => path)).toEqual(['/redirect']);
});

test('a receiver just inside the time limit delivers, one past it is a timeout', async () => {
  // 14 s and 16 s against 15 s, forty times as fast.
  const zoo = await openZoo();
  const options = { timeoutMs: 375 };
  expect(await send(`${zoo.url}/slow/250`, { options })).toMatchObject({ statusCode: 200, responseBody: 'at last' });
  const late = await send(`${zoo.url}/slow/600`, { options });
  expect(late).toMatchObject({ statusCode: null, errorClass: 'timeout', responseBody: null });
  expect(late.durationMs).toBeGreaterThanOrEqual(370);
  expect(late.durationMs).toBeLessThan(600);
});

test.each([
  ['trickle', 'timeout'],
  ['stall', 'timeout'],
  ['reset', 'closed'],
  ['hangUp', 'closed'],
  ['cut', 'closed'],
  ['garbage', 'protocol'],
] as const)('a receiver that does %s is told as %s', async (habit, errorClass) => {
  const zoo = await openZoo();
  expect(await send(`${zoo.url}/${habit}`, { options: { timeoutMs: 200 } })).toMatchObject({
    statusCode: null,
    errorClass,
  });
});

test('of an answer of a gigabyte 64 kB are read and 4 kB kept', async () => {
  const zoo = await openZoo();
  const outcome = await send(`${zoo.url}/flood`);
  expect(outcome).toMatchObject({ statusCode: 200, errorClass: null });
  expect(outcome.responseBody).toHaveLength(4_096);
  expect(zoo.floodedBytes()).toBeLessThan(16 * 1024 * 1024);
});

test.each([
  ['120', 120_000],
  ['0', 0],
  ['Thu, 01 Jan 1970 00:00:00 GMT', 0],
  ['soon', null],
  ['-5', null],
  ['99999999999999999999', null],
])('Retry-After %s is %s ms', async (text, expected) => {
  const zoo = await openZoo();
  const outcome = await send(`${zoo.url}/busy/${encodeURIComponent(text)}`);
  expect(outcome).toMatchObject({ statusCode: 429, retryAfterMs: expected });
});

test('Retry-After as a date counts from now', async () => {
  const zoo = await openZoo();
  const at = new Date(Date.now() + 60_000).toUTCString();
  const { retryAfterMs } = await send(`${zoo.url}/busy/${encodeURIComponent(at)}`);
  expect(retryAfterMs).toBeGreaterThan(55_000);
  expect(retryAfterMs).toBeLessThanOrEqual(60_000);
});

test('a certificate nobody vouches for is refused, the one the trigger names is trusted', async () => {
  const tls = selfSigned();
  const zoo = await openZoo({ tls });
  expect(await send(`${zoo.url}/status/204`)).toMatchObject({ statusCode: null, errorClass: 'tls' });
  expect(await send(`${zoo.url}/status/204`, { caCertificate: tls.certificate })).toMatchObject({ statusCode: 204 });
  const other = selfSigned();
  expect(await send(`${zoo.url}/status/204`, { caCertificate: other.certificate })).toMatchObject({
    errorClass: 'tls',
  });
  expect(zoo.received).toHaveLength(1);
});

test('an expired certificate is refused, and so is plain HTTP where TLS was asked for', async () => {
  const tls = selfSigned({ isExpired: true });
  const expired = await openZoo({ tls });
  expect(await send(`${expired.url}/status/204`, { caCertificate: tls.certificate })).toMatchObject({
    errorClass: 'tls',
  });
  const plain = await openZoo();
  expect(await send(`https://127.0.0.1:${plain.port}/status/204`)).toMatchObject({ errorClass: 'tls' });
});

test('an address that is not allowed gets no packet', async () => {
  const zoo = await openZoo();
  const options = { egress: { policy: { ...loopback, allow: ['external'] } } };
  expect(await send(`${zoo.url}/status/204`, { options })).toMatchObject({ statusCode: null, errorClass: 'blocked' });
  expect(zoo.received).toEqual([]);
});

test('a name that is rebound between two attempts is checked at each', async () => {
  const zoo = await openZoo();
  const answers = ['127.0.0.1', '169.254.169.254'];
  const options = { egress: { resolve: () => Promise.resolve([answers.shift() ?? '']) } };
  const sender = newSender(options);
  const request = sender.webhookPrepare({
    url: `http://rebind.example:${zoo.port}/status/204`,
    webhookId: 'msg_1',
    at: new Date(),
    body: '{}',
    keys: [key],
    headers: [],
  });
  const call = { caCertificate: null, signal: never };
  expect(await sender.webhookSend(request, call)).toMatchObject({ statusCode: 204 });
  expect(await sender.webhookSend(request, call)).toMatchObject({ statusCode: null, errorClass: 'blocked' });
  expect(zoo.received).toHaveLength(1);
});

test('a name that does not resolve and a port nobody listens on are told apart', async () => {
  const zoo = await openZoo();
  const unresolved = {
    egress: { resolve: () => Promise.reject(Object.assign(new Error('no'), { code: 'ENOTFOUND' })) },
  };
  expect(await send('http://nowhere.example:8080/', { options: unresolved })).toMatchObject({ errorClass: 'dns' });
  const slowResolver = { egress: { resolve: () => new Promise<never>(() => undefined), connectTimeoutMs: 20 } };
  expect(await send('http://nowhere.example:8080/', { options: slowResolver })).toMatchObject({ errorClass: 'dns' });
  await zoos.pop()?.close();
  expect(await send(`${zoo.url}/status/204`)).toMatchObject({ errorClass: 'connect' });
});

test('what may be a secret is hidden in what is kept, also where the receiver says it back', async () => {
  const zoo = await openZoo();
  const sender = newSender();
  const request = sender.webhookPrepare({
    url: `${zoo.url}/headers?access_token=url-secret-1234`,
    webhookId: 'msg_1',
    at: new Date(),
    body: '{}',
    keys: [key],
    headers: [{ name: 'Authorization', value: 'Bearer header-secret-5678' }],
  });
  expect(request.storedHeaders).toMatchObject({ authorization: '***', 'webhook-id': 'msg_1' });
  const outcome = await sender.webhookSend(request, { caCertificate: null, signal: never });
  expect(zoo.received[0]?.headers['authorization']).toBe('Bearer header-secret-5678');
  expect(outcome.responseHeaders).toMatchObject({ 'set-cookie': '***', 'x-echo': '***' });
  expect(outcome.responseBody).toContain('/headers?***');
  expect(JSON.stringify([outcome, request.storedHeaders])).not.toMatch(/url-secret-1234|header-secret-5678/);
});

test("a user's header never takes the place of one of ours", () => {
  const { headers } = newSender().webhookPrepare({
    url: 'https://ci.example/hook',
    webhookId: 'msg_1',
    at: new Date(),
    body: '{}',
    keys: [key],
    headers: [{ name: 'Webhook-Id', value: 'forged' }],
  });
  expect(headers['webhook-id']).toBe('msg_1');
});

test('an answer is kept as text the database takes', async () => {
  const zoo = await openZoo();
  expect((await send(`${zoo.url}/nul`)).responseBody).toBe('a\u{fffd}b');
});

test('a caller who gives up gets his own reason, not an outcome', async () => {
  const zoo = await openZoo();
  const controller = new AbortController();
  const sent = send(`${zoo.url}/stall`, { signal: controller.signal });
  await zoo.waitFor(1);
  controller.abort(new Error('the worker shuts down'));
  await expect(sent).rejects.toThrow('the worker shuts down');
});
