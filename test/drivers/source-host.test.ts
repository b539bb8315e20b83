import { createServer } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { createEgress } from '../../activities/drivers/egress.ts';
import { createSourceHosts } from '../../activities/drivers/source-host.ts';
import type { SourceHostClient } from '../../activities/drivers/source-host.ts';
import type { EgressPolicy } from '../../domain/egress.ts';
import { selfSigned } from '../support/certificate.ts';
import { textOf } from '../support/source-hosts/host-script.ts';
import type { ApiHost } from '../support/source-hosts/host-script.ts';
import { startScriptedHost } from '../support/source-hosts/scripted-host.ts';
import type { ScriptedHost } from '../support/source-hosts/scripted-host.ts';

const loopback: EgressPolicy = { allow: ['loopback'], denied: [], ports: 'any', isHttpAllowed: true };
const hosts: readonly ApiHost[] = ['github', 'gitlab', 'gitee', 'bitbucket', 'bitbucket_data_center', 'gitea'];
const web = { codeNamespace: 'acme', codeRepository: 'web' };
const commit = 'd4ef3dc3b77a011a5779eec7efdd45f3a2b1c0d9';
const hook = { url: 'https://slipway.example/hooks/abc', secret: `whsec_${Buffer.alloc(32, 7).toString('base64')}` };
const call = { signal: new AbortController().signal };

const open: ScriptedHost[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((host) => host.close()));
});

async function start(host: ApiHost): Promise<ScriptedHost> {
  const scripted = await startScriptedHost(host);
  open.push(scripted);
  return scripted;
}

function clientOf(
  host: ApiHost,
  {
    url,
    token = 'canary-host-token',
    policy = loopback,
    ca = null,
    timeoutMs = 5_000,
  }: { url: string; token?: string; policy?: EgressPolicy; ca?: string | null; timeoutMs?: number },
): SourceHostClient {
  const openEgress = ({ ca: authority }: { readonly ca?: string }) =>
    createEgress({ policy, ...(authority === undefined ? {} : { ca: authority }) });
  const client = createSourceHosts({ openEgress, timeoutMs }).client({
    host,
    baseUrl: url,
    caCertificate: ca,
    secret: { kind: 'token', token },
  });
  if (client === null) throw new Error(`${host} has an API`);
  return client;
}

describe.each(hosts)('the API of %s', (host) => {
  it('takes a good credential and refuses a wrong one, whose text shows nowhere', async () => {
    const { url } = await start(host);
    await expect(clientOf(host, { url }).credentialCheck(call)).resolves.toBeUndefined();
    const wrong = clientOf(host, { url, token: 'canary-wrong-token' }).credentialCheck(call);
    await expect(wrong).rejects.toMatchObject({ kind: 'refused', status: 401, isPermanent: true });
    await expect(wrong).rejects.toThrow(/does not take this credential/);
    await expect(wrong).rejects.not.toThrow(/canary-wrong-token/);
  });

  it('gets a hook once, however often it is installed, and the newest secret', async () => {
    const { url, state } = await start(host);
    const client = clientOf(host, { url });
    const id = await client.hookInstall(web, hook, call);
    expect(await client.hookInstall(web, { ...hook, secret: 'whsec_new' }, call)).toBe(id);
    expect(state.hooks).toHaveLength(1);
    const [made] = state.hooks;
    expect(JSON.stringify(made?.body)).toContain('whsec_new');
    expect(JSON.stringify(made?.body)).toContain(hook.url);
    await client.hookRemove(web, id, call);
    await client.hookRemove(web, id, call);
    expect(state.hooks).toEqual([]);
  });

  it('says that the credential lacks the right to webhooks', async () => {
    const { url, state } = await start(host);
    state.mayHook = false;
    const kind = host === 'github' ? 'missing' : 'forbidden';
    await expect(clientOf(host, { url }).hookInstall(web, hook, call)).rejects.toMatchObject({ kind });
    await expect(clientOf(host, { url }).hookInstall(web, hook, call)).rejects.toThrow(/right/);
  });

  it('says that there is no such repository', async () => {
    const { url } = await start(host);
    const other = { codeNamespace: 'acme', codeRepository: 'none' };
    await expect(clientOf(host, { url }).hookInstall(other, hook, call)).rejects.toMatchObject({ kind: 'missing' });
  });

  it('is told every state of a commit in its own words', async () => {
    const { url, state } = await start(host);
    const client = clientOf(host, { url });
    for (const said of ['pending', 'running', 'failure', 'canceled', 'success'] as const) {
      const status = { commit, context: 'slipway/delivery', state: said, description: 'So it is', url: 'https://s/1' };
      await client.statusSet(web, status, call);
    }
    expect(state.statuses.map((status) => status.state)).toEqual(words[host]);
    expect(state.statuses.at(-1)).toMatchObject({
      commit,
      context: 'slipway/delivery',
      description: 'So it is',
      url: 'https://s/1',
    });
    state.maySetStatus = false;
    const refused = client.statusSet(
      web,
      { commit, context: 'slipway/delivery', state: 'success', description: '', url: 'https://s/1' },
      call,
    );
    await expect(refused).rejects.toMatchObject({ kind: 'forbidden' });
  });

  it.each([
    { what: 'a broken server', fault: { status: 502 }, kind: 'unreachable', retryAfterMs: null },
    { what: 'what is no JSON', fault: { status: 200, body: '<html>' }, kind: 'unreachable', retryAfterMs: null },
    {
      what: 'an endless answer',
      fault: { status: 200, body: `"${'x'.repeat(1_100_000)}"` },
      kind: 'unreachable',
      retryAfterMs: null,
    },
    {
      what: 'too many calls',
      fault: { status: 429, headers: { 'retry-after': '7' } },
      kind: 'limited',
      retryAfterMs: 7_000,
    },
  ])('is not believed when it answers with $what', async ({ fault, kind, retryAfterMs }) => {
    const { url, state } = await start(host);
    state.fault = fault;
    const refused = clientOf(host, { url }).hookInstall(web, hook, call);
    await expect(refused).rejects.toMatchObject({ kind, isPermanent: false, retryAfterMs });
  });

  it('is never followed elsewhere: a redirect would take the credential along', async () => {
    const elsewhere = await start(host);
    const { url, state } = await start(host);
    state.fault = { status: 307, headers: { location: elsewhere.url } };
    await expect(clientOf(host, { url }).credentialCheck(call)).rejects.toMatchObject({ kind: 'unreachable' });
    expect(elsewhere.state.requests).toEqual([]);
  });

  it('is not called where the egress rules forbid its address', async () => {
    const { url, state } = await start(host);
    const policy: EgressPolicy = { ...loopback, allow: ['external'] };
    await expect(clientOf(host, { url, policy }).credentialCheck(call)).rejects.toMatchObject({ kind: 'blocked' });
    expect(state.requests).toEqual([]);
  });
});

const words: Readonly<Record<ApiHost, readonly string[]>> = {
  github: ['pending', 'pending', 'failure', 'error', 'success'],
  gitlab: ['pending', 'running', 'failed', 'canceled', 'success'],
  gitee: ['queued', 'in_progress', 'failure', 'cancelled', 'success'],
  bitbucket: ['INPROGRESS', 'INPROGRESS', 'FAILED', 'STOPPED', 'SUCCESSFUL'],
  bitbucket_data_center: ['INPROGRESS', 'INPROGRESS', 'FAILED', 'CANCELLED', 'SUCCESSFUL'],
  gitea: ['pending', 'pending', 'failure', 'error', 'success'],
};

describe('source hosts', () => {
  it('behind a private authority are reached with its certificate, and not without', async () => {
    const certificate = selfSigned();
    const scripted = await startScriptedHost('gitlab', { certificate });
    open.push(scripted);
    const { url } = scripted;
    await clientOf('gitlab', { url, ca: certificate.certificate }).credentialCheck(call);
    await expect(clientOf('gitlab', { url }).credentialCheck(call)).rejects.toThrow(
      /Check its address and certificate/,
    );
  });

  it('hear a long context of Bitbucket in a key of forty characters, always the same one', async () => {
    const { url, state } = await start('bitbucket');
    const context = `slipway/${'long-name-'.repeat(6)}`;
    const status = { commit, context, state: 'success' as const, description: '', url: 'https://s/1' };
    await clientOf('bitbucket', { url }).statusSet(web, status, call);
    await clientOf('bitbucket', { url }).statusSet(web, status, call);
    const keys = state.requests.map((request) => textOf(JSON.parse(request.body), 'key'));
    expect(new Set(keys).size).toBe(1);
    expect(keys[0]).toMatch(/^[0-9a-f]{40}$/);
  });

  it('take the same state twice where they refuse to be told so: GitLab', async () => {
    const { url, state } = await start('gitlab');
    const client = clientOf('gitlab', { url });
    const status = { commit, context: 'slipway/a', state: 'running' as const, description: '', url: 'https://s/1' };
    await client.statusSet(web, status, call);
    await client.statusSet(web, status, call);
    expect(state.statuses).toHaveLength(1);
  });

  it('tell what they delivered, and send it again: GitHub', async () => {
    const { url, state } = await start('github');
    const { deliveries } = clientOf('github', { url });
    const found = await deliveries?.deliveriesList(web, '1', call);
    expect(found?.[0]).toEqual({
      id: '12345',
      deliveryId: '0b989ba4-242f-11e5-81e1-c7b6966d2516',
      deliveredAt: '2026-11-21T11:00:00Z',
      event: 'push',
      isDelivered: false,
    });
    await deliveries?.deliveryRedeliver(web, { hookRef: '1', id: '12345' }, call);
    expect(state.requests.at(-1)?.path).toBe('/api/v3/repos/acme/web/hooks/1/deliveries/12345/attempts');
  });

  it('that never answer are given up in time', async () => {
    const server = createServer(() => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
    const silent = clientOf('gitea', { url, timeoutMs: 100 }).credentialCheck(call);
    await expect(silent).rejects.toMatchObject({ kind: 'unreachable', isTimeout: true });
    server.closeAllConnections();
    server.close();
  });
});
