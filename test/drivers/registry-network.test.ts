import { randomBytes } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { imageCopy } from '../../activities/drivers/registry-copy.ts';
import { manifestMediaTypes } from '../../domain/image-manifest.ts';
import { createFaultProxy, type Faults } from '../support/fault-proxy.ts';
import { failureOf, registryClient, scriptedRegistry } from '../support/registry-client.ts';

const layer = randomBytes(2_000_000);
/** A reset throws away what the other side has not read yet, so only the quiet ends keep all of it. */
const resentShare = { fin: 0.15, stall: 0.15, rst: 1 };
/** Where 90 % of the layer and the head of its answer or request are through. */
const ninetyPercent = 1_800_000;

/** A copy of one layer whose two ways each lead through a proxy. */
async function world({ source = {}, destination = {} }: { source?: Partial<Faults>; destination?: Partial<Faults> }) {
  const [from, to] = [await scriptedRegistry(), await scriptedRegistry()];
  const proxies = [await proxied(from.url, source), await proxied(to.url, destination)] as const;
  const config = {
    mediaType: 'application/vnd.oci.image.config.v1+json',
    ...from.addBlob('shop/web', Buffer.from('{}')),
  };
  const layers = [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', ...from.addBlob('shop/web', layer) }];
  const { digest } = from.addManifest('shop/web', {
    mediaType: manifestMediaTypes.ociManifest,
    schemaVersion: 2,
    config,
    layers,
  });
  const limits = { idleTimeoutMs: 300 };
  const copy = () =>
    imageCopy({
      source: { client: registryClient(`http://${proxies[0].host}`, { limits }), repository: 'shop/web', digest },
      destination: { client: registryClient(`http://${proxies[1].host}`, { limits }), repository: 'mirror/web' },
      tags: ['v1'],
      signal: AbortSignal.timeout(20_000),
    });
  const held = () => to.repository('mirror/web').blobs.get(layers[0]!.digest);
  return { from, to, proxies, copy, held };
}

async function proxied(url: string, faults: Partial<Faults>) {
  const { hostname, port } = new URL(url);
  const proxy = await createFaultProxy({ host: hostname, port: Number(port) }, faults);
  onTestFinished(() => proxy.close());
  return proxy;
}

test.for(['fin', 'rst', 'stall'] as const)(
  'a source that breaks at 90 percent by %s is read on from there',
  async (how) => {
    const cut = { direction: 'down', afterBytes: ninetyPercent, how, times: 1 } as const;
    const { from, proxies, copy, held } = await world({ source: { cut } });
    await copy();
    expect(held()?.equals(layer)).toBe(true);
    expect(from.requests.filter(({ headers }) => headers.range !== undefined).length).toBeLessThanOrEqual(1);
    expect(proxies[0].counts().down).toBeLessThan(layer.length * (1 + resentShare[how]));
  },
);

test.for(['fin', 'rst', 'stall'] as const)(
  'a destination that breaks at 90 percent by %s gets the rest',
  async (how) => {
    const cut = { direction: 'up', afterBytes: ninetyPercent, how, times: 1 } as const;
    const { to, proxies, copy, held } = await world({ destination: { cut } });
    await copy();
    expect(held()?.equals(layer)).toBe(true);
    expect(to.requests.filter(({ method }) => method === 'PATCH').length).toBeLessThanOrEqual(1);
    expect(proxies[1].counts().up).toBeLessThan(layer.length * (1 + resentShare[how]));
  },
);

test('a slow way takes its time and is not given up while bytes arrive', async () => {
  const { copy, held } = await world({ source: { bytesPerSecond: 2_000_000, delayMs: 5 } });
  await copy();
  expect(held()?.equals(layer)).toBe(true);
});

test('a way that breaks again and again without moving ends the copy with a network error', async () => {
  const cut = { direction: 'down', afterBytes: 0, how: 'rst', times: 1_000 } as const;
  const { to, copy } = await world({ source: { cut } });
  expect(await failureOf(copy())).toMatchObject({ issue: 'network_error', isPermanent: false });
  expect(to.repository('mirror/web').tags.size).toBe(0);
});

test('a registry that is down is a network error that can pass', async () => {
  const { to, copy } = await world({});
  await to.close();
  expect(await failureOf(copy())).toMatchObject({ issue: 'network_error', isPermanent: false });
});
