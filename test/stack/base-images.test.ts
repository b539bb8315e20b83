import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { RegistryClient } from '../../activities/drivers/registry.ts';
import { parseManifest } from '../../domain/image-manifest.ts';
import { makeBaseImages, pushBaseImage, renewBaseImages } from '../../stack/base-images.ts';
import { isUsableEmulator, nativeArchitecture } from '../../stack/emulation.ts';
import { blobPath } from '../../stack/sample/base-images/oci-layout.ts';
import {
  mirrorsFrom,
  mmdebstrapArguments,
  proxyOptionsFrom,
  publishedAt,
} from '../../stack/sample/base-images/rootfs.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'slipway-base-images-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const access = {
  mirrors: {
    bookworm: 'http://mirror.example/debian/',
    'bookworm-updates': 'http://mirror.example/debian/',
    'bookworm-security': 'http://mirror.example/debian-security/',
  },
  proxyOptions: ['Acquire::http::Proxy "http://proxy.example:3128";'],
};

describe('the machine’s way to Debian', () => {
  test('is its own mirror of each suite, and for the others that of another release', () => {
    const targets = [
      'Packages Debian bookworm main http://mirror.example/debian/',
      'Packages Debian bookworm contrib http://other.example/debian/',
      'DEP-11 Debian bookworm main http://dep11.example/debian/',
      'Packages Debian bookworm main http://second.example/debian/',
      'Packages Debian trixie-security main http://mirror.example/debian-security/',
      'Packages nodesource nodistro main https://nodesource.example/node_20.x/',
      '',
    ].join('\n');
    expect(mirrorsFrom(targets)).toEqual({
      bookworm: 'http://mirror.example/debian/',
      'bookworm-updates': 'http://mirror.example/debian/',
      'bookworm-security': 'http://mirror.example/debian-security/',
    });
  });

  test('is told in one sentence when apt knows no Debian at all', () => {
    expect(() => mirrorsFrom('Packages Ubuntu noble main http://mirror.example/ubuntu/\n')).toThrow(
      'apt on this machine names no mirror for bookworm: add one',
    );
  });

  test('passes apt’s proxies on, those for one host too', () => {
    const dump = [
      'Acquire "";',
      'Acquire::http "";',
      'Acquire::http::Proxy "http://proxy.example:3128";',
      'Acquire::http::Proxy::mirror.example "DIRECT";',
      'Acquire::https::Proxy "";',
      'Acquire::Retries "3";',
    ].join('\n');
    expect(proxyOptionsFrom(dump)).toEqual([
      'Acquire::http::Proxy "http://proxy.example:3128";',
      'Acquire::http::Proxy::mirror.example "DIRECT";',
    ]);
  });

  test('tells when a suite was published', () => {
    expect(publishedAt('Origin: Debian\nDate: Fri, 20 Nov 2026 02:11:10 UTC\n')).toBe(1_795_140_670);
    expect(() => publishedAt('<html>not here</html>')).toThrow('it is no Debian mirror');
  });
});

test('mmdebstrap is asked for a minimal tree of the suites, without manuals and device nodes', () => {
  const order = { suites: ['bookworm', 'bookworm-security'], architecture: 'arm64' } as const;
  const given = mmdebstrapArguments(order, { access, out: '/tmp/out.tar' });
  expect(given).toEqual(
    expect.arrayContaining([
      '--variant=minbase',
      '--architectures=arm64',
      '--skip=output/dev,cleanup/apt',
      '--include=usr-is-merged',
    ]),
  );
  expect(given).toContain('--dpkgopt=path-exclude=/usr/share/man/*');
  expect(given).toContain('--aptopt=Acquire::http::Proxy "http://proxy.example:3128";');
  expect(given.slice(-4)).toEqual([
    'bookworm',
    '/tmp/out.tar',
    'deb http://mirror.example/debian/ bookworm main',
    'deb http://mirror.example/debian-security/ bookworm-security main',
  ]);
});

describe('an emulator', () => {
  test('is usable when the kernel has it open for containers', () => {
    expect(
      isUsableEmulator('enabled\ninterpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P\nflags: PF\noffset 0\n'),
    ).toBe(true);
    expect(isUsableEmulator('enabled\ninterpreter /usr/bin/qemu-aarch64\nflags: OC\n')).toBe(false);
    expect(isUsableEmulator('disabled\ninterpreter /usr/bin/qemu-aarch64\nflags: F\n')).toBe(false);
    expect(isUsableEmulator('')).toBe(false);
  });
});

/** A machine whose Debian tools are scripts: the tree is a file naming the suites, and each making is noted. */
async function machine(
  mmdebstrap = makesTree,
): Promise<Parameters<typeof makeBaseImages>[0] & { readonly lines: string[] }> {
  const programs = {
    'apt-get': ['debian', 'debian-security']
      .map((name) => `echo "Packages Debian ${name.replace('debian', 'bookworm')} main http://mirror.example/${name}/"`)
      .join('\n'),
    'apt-config': 'true',
    'apt-helper': 'echo "Date: Fri, 20 Nov 2026 02:11:10 UTC" > "$3"',
    unshare: 'while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"',
    mmdebstrap,
  };
  await mkdir(join(folder, 'bin'));
  for (const [name, body] of Object.entries(programs)) {
    await writeFile(join(folder, 'bin', name), `#!/bin/sh\nset -e\n${body}\n`);
    await chmod(join(folder, 'bin', name), 0o755);
  }
  const lines: string[] = [];
  return {
    cacheDir: join(folder, 'cache'),
    env: { PATH: `${join(folder, 'bin')}:/usr/bin:/bin`, FOLDER: folder },
    signal: AbortSignal.timeout(20_000),
    onProgress: (line) => void lines.push(line),
    architectures: [nativeArchitecture()],
    lines,
  };
}
const makesTree = `
echo "$SOURCE_DATE_EPOCH" >> "$FOLDER/makings"
previous=
for argument in "$@"; do [ "$previous" = bookworm ] && out=$argument; previous=$argument; done
echo "$@" | tr ' ' '\\n' | grep '^bookworm' > "$out"`;

describe('base images', () => {
  test('are made as complete OCI layouts whose every byte has the digest that names it', async () => {
    const images = await makeBaseImages(await machine());
    expect(images.map(({ repository, tag }) => `${repository}:${tag}`)).toEqual([
      'slipway-base/library/debian:bookworm-slim',
      'slipway-base/library/debian:bookworm-unpatched',
    ]);
    for (const { layout, index, manifests, blobs } of images) {
      for (const { digest, size } of [index.descriptor, ...manifests.map(({ descriptor }) => descriptor), ...blobs]) {
        const bytes = await readFile(blobPath(layout, digest));
        expect(`sha256:${createHash('sha256').update(bytes).digest('hex')} ${bytes.length}`).toBe(`${digest} ${size}`);
      }
      expect(await readdir(join(layout, 'blobs/sha256'))).toHaveLength(1 + manifests.length + blobs.length);
      expect((await readdir(layout)).toSorted()).toEqual(['blobs', 'index.json', 'oci-layout']);
    }
  });

  test('say their platform, their time and the digest of the tree in the layer', async () => {
    const [slim] = await makeBaseImages(await machine());
    const [config, layer] = slim?.blobs ?? [];
    const configured = JSON.parse(await readFile(blobPath(slim?.layout ?? '', config?.digest ?? ''), 'utf8'));
    const tree = gunzipSync(await readFile(blobPath(slim?.layout ?? '', layer?.digest ?? '')));
    expect(tree.toString()).toBe('bookworm\nbookworm\nbookworm-updates\nbookworm-security\n');
    expect(configured).toMatchObject({
      os: 'linux',
      architecture: nativeArchitecture(),
      created: '2026-11-20T02:11:10Z',
      rootfs: { type: 'layers', diff_ids: [`sha256:${createHash('sha256').update(tree).digest('hex')}`] },
    });
    const index = parseManifest({
      mediaType: slim?.index.descriptor.mediaType ?? '',
      bytes: slim?.index.bytes ?? new Uint8Array(),
    });
    expect(index).toMatchObject({
      kind: 'index',
      manifests: [{ platform: { os: 'linux', architecture: nativeArchitecture() } }],
    });
  });

  test('are made once, then found in the cache, and the same packages make the same image', async () => {
    const own = await machine();
    const first = await makeBaseImages(own);
    expect(await makeBaseImages(own)).toEqual(first);
    expect(await readFile(join(folder, 'makings'), 'utf8')).toBe('1795140670\n1795140670\n');
    const again = await makeBaseImages({ ...own, cacheDir: join(folder, 'other') });
    expect(again.map(({ index }) => index.descriptor.digest)).toEqual(
      first.map(({ index }) => index.descriptor.digest),
    );
    expect(own.lines.slice(0, 2)).toEqual([
      'making base image debian:bookworm-slim, 1 of 2, about 2 min, only this once',
      'making base image debian:bookworm-unpatched, 2 of 2, about 2 min, only this once',
    ]);
  });

  test('that cannot be made tell what mmdebstrap said and leave nothing behind', async () => {
    const own = await machine('echo "E: unable to fetch perl-base" >&2; exit 25');
    await expect(makeBaseImages(own)).rejects.toThrow(
      `mmdebstrap could not make the base image for linux/${nativeArchitecture()}: E: unable to fetch perl-base`,
    );
    expect(await readdir(join(folder, 'cache/base-images'))).toEqual(['lock']);
  });
});

describe('renewing base images', () => {
  const debianSays = (date: string) =>
    writeFile(join(folder, 'bin/apt-helper'), `#!/bin/sh\necho "Date: ${date} UTC" > "$3"\n`);
  const digestsOf = (images: Awaited<ReturnType<typeof makeBaseImages>>) =>
    images.map(({ index }) => index.descriptor.digest);
  const news = 'Sat, 21 Nov 2026 08:00:00';

  test('leaves them alone while Debian has published nothing since', async () => {
    const own = await machine();
    const made = await makeBaseImages(own);
    expect(await renewBaseImages({ ...own, minAgeMs: 0 })).toEqual(made);
    expect((await readFile(join(folder, 'makings'), 'utf8')).trim().split('\n')).toHaveLength(2);
  });

  test('keeps the image where the packages are still the same, and does not make it again for the same news', async () => {
    const own = await machine();
    const made = await makeBaseImages(own);
    await debianSays(news);
    expect(digestsOf(await renewBaseImages({ ...own, minAgeMs: 0 }))).toEqual(digestsOf(made));
    await renewBaseImages({ ...own, minAgeMs: 0 });
    expect((await readFile(join(folder, 'makings'), 'utf8')).trim().split('\n')).toHaveLength(4);
  });

  test('makes another image of other packages, which the next start finds', async () => {
    const own = await machine();
    const made = await makeBaseImages(own);
    await debianSays(news);
    const program = join(folder, 'bin/mmdebstrap');
    await writeFile(program, `${await readFile(program, 'utf8')}\necho perl-base 5.36.0-7+deb12u4 >> "$out"\n`);
    const renewed = await renewBaseImages({ ...own, minAgeMs: 0 });
    expect(renewed.map(({ tag }) => tag)).toEqual(made.map(({ tag }) => tag));
    for (const [index, digest] of digestsOf(renewed).entries()) expect(digest).not.toBe(digestsOf(made)[index]);
    expect(await makeBaseImages(own)).toEqual(renewed);
    for (const { layout, blobs } of renewed) {
      for (const { digest } of blobs) expect(await readFile(blobPath(layout, digest))).not.toHaveLength(0);
    }
  });

  test('does not ask Debian about an image that was made or looked at today', async () => {
    const own = await machine();
    const made = await makeBaseImages(own);
    await writeFile(join(folder, 'bin/apt-helper'), '#!/bin/sh\nexit 100\n');
    expect(await renewBaseImages(own)).toEqual(made);
    await expect(renewBaseImages({ ...own, minAgeMs: 0 })).rejects.toThrow('apt-helper');
  });
});

describe('pushing a base image', () => {
  type Registry = Pick<RegistryClient, 'manifestHead' | 'manifestPut' | 'blobHead' | 'blobUpload'>;
  function registry(overrides: Partial<Registry> = {}): { readonly client: Registry; readonly calls: string[] } {
    const calls: string[] = [];
    const client: Registry = {
      manifestHead: vi.fn<Registry['manifestHead']>(async () => undefined),
      blobHead: vi.fn<Registry['blobHead']>(async () => undefined),
      blobUpload: vi.fn<Registry['blobUpload']>(async ({ digest, size, open, signal }) => {
        const hash = createHash('sha256');
        for await (const chunk of await open(0, signal)) hash.update(chunk);
        calls.push(`blob ${digest === `sha256:${hash.digest('hex')}` && size > 0}`);
        return 'uploaded';
      }),
      manifestPut: vi.fn<Registry['manifestPut']>(async (_, reference) => {
        calls.push(`manifest ${reference.replace(/^sha256:.*/, 'by digest')}`);
        return '';
      }),
      ...overrides,
    };
    return { client, calls };
  }

  test('sends blobs, then manifests by digest, the tag last', async () => {
    const own = await machine();
    const [slim] = await makeBaseImages(own);
    const { client, calls } = registry();
    await pushBaseImage(client, slim!, own.signal);
    expect(calls).toEqual(['blob true', 'blob true', 'manifest by digest', 'manifest bookworm-slim']);
  });

  test('sends nothing that is there already', async () => {
    const own = await machine();
    const [slim] = await makeBaseImages(own);
    const { digest, mediaType, size } = slim!.index.descriptor;
    const whole = registry({ manifestHead: async () => ({ digest, mediaType, size }) });
    await pushBaseImage(whole.client, slim!, own.signal);
    expect(whole.calls).toEqual([]);
    const blobs = registry({ blobHead: async () => ({ size: 1 }) });
    await pushBaseImage(blobs.client, slim!, own.signal);
    expect(blobs.calls).toEqual(['manifest by digest', 'manifest bookworm-slim']);
  });
});
