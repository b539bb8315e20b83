import { EventEmitter, once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { afterEach, expect, test } from 'vitest';
import { EgressRefused, type EgressPolicy } from '../../domain/egress.ts';
import { createEgress, type EgressOptions, type EgressRequest } from '../../activities/drivers/egress.ts';

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  await Promise.all(closers.splice(0).map((close) => close()));
});

const loopback: EgressPolicy = { allow: ['loopback'], denied: [], ports: 'any', isHttpAllowed: true };

async function listen(handler: RequestListener): Promise<number> {
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the test server has no port');
  return address.port;
}

function egress(options: Partial<EgressOptions> = {}) {
  const made = createEgress({ policy: loopback, ...options });
  closers.push(() => made.close());
  return made;
}

function get(url: string, more: Partial<EgressRequest> = {}): EgressRequest {
  return { method: 'GET', url, signal: new AbortController().signal, timeoutMs: 2_000, maxBytes: 1_024, ...more };
}

test('an allowed address is called with method, headers and body, and answers whole', async () => {
  const port = await listen((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () =>
      response.writeHead(201, { 'X-Seen': `${request.method} ${String(request.headers['x-key'])}` }).end(body),
    );
  });
  const answer = await egress().request(
    get(`http://127.0.0.1:${port}/hook`, { method: 'POST', headers: { 'x-key': 'k' }, body: 'hello' }),
  );
  expect(answer).toMatchObject({ status: 201, headers: { 'x-seen': 'POST k' }, isTruncated: false });
  expect(answer.body.toString()).toBe('hello');
});

test('a redirect is an answer and is not followed', async () => {
  const paths: (string | undefined)[] = [];
  const port = await listen((request, response) => {
    paths.push(request.url);
    response.writeHead(302, { Location: '/elsewhere' }).end();
  });
  const answer = await egress().request(get(`http://127.0.0.1:${port}/hook`));
  expect(answer.status).toBe(302);
  expect(paths).toEqual(['/hook']);
});

test('a name is refused when any one of its addresses is', async () => {
  let requests = 0;
  const port = await listen((_request, response) => {
    requests += 1;
    response.end();
  });
  const guarded = egress({ resolve: () => Promise.resolve(['127.0.0.1', '10.0.0.1']) });
  await expect(guarded.request(get(`http://hooks.example.com:${port}/`))).rejects.toThrow(
    `Requests may not leave to hooks.example.com, port ${port} (10.0.0.1): it is not among the addresses the administrator allows.`,
  );
  expect(requests).toBe(0);
});

test('a name that is rebound after its check is checked again at the next connection', async () => {
  const port = await listen((_request, response) => void response.writeHead(200, { connection: 'close' }).end('ok'));
  const answers = ['127.0.0.1', '169.254.169.254'];
  const guarded = egress({ resolve: () => Promise.resolve([answers.shift() ?? '']) });
  const first = await guarded.request(get(`http://rebind.example.com:${port}/`));
  expect(first.body.toString()).toBe('ok');
  await expect(guarded.request(get(`http://rebind.example.com:${port}/`))).rejects.toThrow(EgressRefused);
});

test('the connection goes to the address that was checked, the Host header keeps the name', async () => {
  const port = await listen((request, response) => void response.end(request.headers.host));
  const guarded = egress({ resolve: () => Promise.resolve(['127.0.0.1']) });
  const answer = await guarded.request(get(`http://does-not-exist.example:${port}/`));
  expect(answer.body.toString()).toBe(`does-not-exist.example:${port}`);
});

test('the next address is tried when the first does not answer', async () => {
  const port = await listen((_request, response) => void response.end('second'));
  const guarded = egress({ resolve: () => Promise.resolve(['127.0.0.9', '127.0.0.1']) });
  const answer = await guarded.request(get(`http://two.example:${port}/`));
  expect(answer.body.toString()).toBe('second');
});

test('a name that does not resolve fails closed', async () => {
  const guarded = egress({ resolve: () => Promise.reject(new Error('queryA ESERVFAIL hooks.example.com')) });
  await expect(guarded.request(get('http://hooks.example.com:8080/'))).rejects.toThrow('ESERVFAIL');
});

test('a resolver that hangs is given up after the connect timeout', async () => {
  const guarded = egress({ resolve: () => new Promise(() => undefined), connectTimeoutMs: 30 });
  await expect(guarded.request(get('http://hooks.example.com:8080/'))).rejects.toThrow(
    'The name hooks.example.com was not resolved within 30 ms.',
  );
});

test('one of our own servers is refused by its port, the port beside it is not', async () => {
  const port = await listen((_request, response) => void response.end('open'));
  const guarded = egress({ policy: { ...loopback, denied: [{ host: '127.0.0.1', port: port + 1 }] } });
  expect((await guarded.request(get(`http://127.0.0.1:${port}/`))).body.toString()).toBe('open');
  await expect(guarded.request(get(`http://127.0.0.1:${port + 1}/`))).rejects.toThrow(EgressRefused);
  await expect(guarded.request(get(`http://2130706433:${port + 1}/`))).rejects.toThrow(EgressRefused);
});

test('an endless answer is read up to the limit and cut', async () => {
  const closed = new EventEmitter();
  const port = await listen((_request, response) => {
    response.on('close', () => closed.emit('closed'));
    function more() {
      if (!response.destroyed) response.write('x'.repeat(16_384), more);
    }
    more();
  });
  const isClosed = once(closed, 'closed');
  const answer = await egress().request(get(`http://127.0.0.1:${port}/`, { maxBytes: 100_000 }));
  expect(answer.body.length).toBe(100_000);
  expect(answer.isTruncated).toBe(true);
  await isClosed;
});

test('a receiver that trickles is given up when the time is over', async () => {
  const port = await listen((_request, response) => void response.writeHead(200).write('x'));
  await expect(egress().request(get(`http://127.0.0.1:${port}/`, { timeoutMs: 60 }))).rejects.toThrow(/abort|timeout/i);
});

test('a caller who gives up ends the request', async () => {
  const controller = new AbortController();
  const port = await listen(() => controller.abort(new Error('the run was canceled')));
  await expect(egress().request(get(`http://127.0.0.1:${port}/`, { signal: controller.signal }))).rejects.toThrow(
    'the run was canceled',
  );
});

test('the form of the address is judged before anything is resolved', async () => {
  const guarded = egress({
    policy: { ...loopback, isHttpAllowed: false },
    resolve: () => Promise.reject(new Error('asked')),
  });
  await expect(guarded.request(get('http://hooks.example.com/'))).rejects.toThrow(
    'The address must start with https://',
  );
  await expect(guarded.request(get('https://u:p@hooks.example.com/'))).rejects.toThrow('must not carry a user name');
});
