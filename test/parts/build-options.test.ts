import { execFile } from 'node:child_process';
import { readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { indexBuild } from '../../domain/image-index.ts';
import { manifestType, startBuildkitWorld, type BuildkitWorld } from '../support/buildkit-world.ts';

const run = promisify(execFile);
const base = 'FROM scratch AS base\nADD base.tar /\n';

let world: BuildkitWorld;
beforeAll(async () => {
  world = await startBuildkitWorld();
});
afterAll(() => world.stop());

/** A cache of this test's own repository. */
function cacheRef(tag: string): string {
  return `${world.registry.host}/slipway-cache/crr-test:${tag}`;
}

describe('the remote cache', () => {
  // The step's output differs with every run, so an equal layer was not made again.
  const dockerfile = (text: string) =>
    `${base}FROM base AS tools\nRUN date +%s%N > /tool\nFROM base\nCOPY --from=tools /tool /tool\nCOPY ${text}.txt /text\n`;
  const files = { 'app/one.txt': 'one', 'app/two.txt': 'two' };

  test('gives a daemon that knows nothing every step but the one that changed, of every stage', async () => {
    const ref = cacheRef('main-linux-amd64');
    const cold = await world.build('warm', {
      dockerfile: dockerfile('one'),
      files,
      input: { cache: { imports: [], export: ref } },
    });
    expect(cold).toMatchObject({ steps: 4, cachedSteps: 0 });
    await world.forget();
    const warm = await world.build('warm', {
      dockerfile: dockerfile('two'),
      files,
      input: { cache: { imports: [ref], export: null } },
    });
    expect(warm).toMatchObject({ steps: 4, cachedSteps: 3 });
    const tool = (digest: string) => world.fetchJson('warm', `manifests/${digest}`).then((m) => Object(m['layers'])[1]);
    expect(await tool(warm.digest)).toEqual(await tool(cold.digest));
  });

  test('that is gone or cannot be written costs time, never the build', async () => {
    await world.forget();
    const built = await world.build('coldly', {
      dockerfile: dockerfile('one'),
      files,
      input: { cache: { imports: [cacheRef('gone')], export: '127.0.0.1:9/slipway-cache/crr-test:x' } },
    });
    expect(built.cachedSteps).toBe(0);
    expect(built.lines.join('\n')).toMatch(/prepare #\d+ importing cache manifest from \S+:gone/);
  });

  test('is neither read nor written without cache', async () => {
    const ref = cacheRef('never');
    const cache = { imports: [ref], export: ref };
    const built = await world.build('uncached', {
      dockerfile: dockerfile('one'),
      files,
      input: { cache, isCached: false },
    });
    expect(built.lines.join('\n')).not.toMatch(/cache manifest|exporting cache/);
    const stored = await fetch(`${world.registry.url}/v2/slipway-cache/crr-test/manifests/never`, {
      headers: { accept: manifestType },
    });
    expect(stored.status).toBe(404);
  });
});

describe('the time of the commit', () => {
  const dockerfile = (head: string) =>
    `${base}${head}WORKDIR /srv/app\nCOPY one.txt ./\nRUN echo "epoch: $SOURCE_DATE_EPOCH" > made\n`;
  const files = { 'app/one.txt': 'one' };

  test('dates the image and its files, and leaves every step cached for the next commit', async () => {
    await world.build('dated', { dockerfile: dockerfile(''), files, input: { commitTime: '2024-01-01T00:00:00Z' } });
    const next = await world.build('dated', {
      dockerfile: dockerfile(''),
      files,
      input: { commitTime: '2025-01-01T00:00:00Z' },
    });
    expect(next).toMatchObject({ steps: 4, cachedSteps: 4 });
    const manifest = await world.fetchJson('dated', `manifests/${next.digest}`);
    const config = await world.fetchJson('dated', `blobs/${Object(manifest['config']).digest}`);
    expect(config).toMatchObject({
      created: '2025-01-01T00:00:00Z',
      history: [{ created: '2025-01-01T00:00:00Z' }, {}, {}, {}],
    });
  });

  test('is told to the steps of a Dockerfile that asks for it', async () => {
    const head = 'ARG SOURCE_DATE_EPOCH\nRUN echo "told: $SOURCE_DATE_EPOCH"\n';
    const input = { commitTime: '2024-01-01T00:00:00Z' };
    const built = await world.build('told', { dockerfile: dockerfile(head), files, input });
    expect(built.lines.join('\n')).toContain('told: 1704067200');
  });
});

describe('a build secret', () => {
  const value = 's3cret-of-the-build-0123456789';

  test('is read by the step that mounts it, and found in no layer, history, label, log or cache', async () => {
    const file = join(await world.newFolder(), 'secret');
    await writeFile(file, value, { mode: 0o600 });
    const ref = cacheRef('secret-linux-amd64');
    const forms = [value, Buffer.from(value).toString('base64'), Buffer.from(value).toString('hex')];
    const built = await world.build('secretive', {
      dockerfile: `${base}RUN --mount=type=secret,id=npm,required=true --mount=type=secret,id=env,env=TOKEN \\
  cat /run/secrets/npm && echo "$TOKEN" && test "$TOKEN" = "$(cat /run/secrets/npm)" && echo equal > /result\n`,
      input: {
        secretFiles: [
          { id: 'npm', file },
          { id: 'env', file },
        ],
        secrets: [value],
        cache: { imports: [], export: ref },
      },
    });
    const log = built.lines.join('\n');
    expect(log).toMatch(/build #\d+ \*\*\*/);
    for (const form of forms) expect(log).not.toContain(form);

    const folder = await world.newFolder();
    for (const [repository, reference] of [
      ['shop/secretive', built.digest],
      ['slipway-cache/crr-test', 'secret-linux-amd64'],
    ] as const) {
      for (const [name, bytes] of await imageParts(repository, reference)) {
        await writeFile(join(folder, `${repository.replaceAll('/', '-')}-${name}`), bytes);
      }
    }
    const parts = await readdir(folder);
    expect(parts.length).toBeGreaterThanOrEqual(8);
    for (const part of parts) {
      const { stdout } = await run('sh', ['-c', 'gzip -cdf -- "$1" | cat', 'sh', join(folder, part)], {
        encoding: 'latin1',
        maxBuffer: 64 * 1024 * 1024,
      });
      for (const form of forms) expect([part, stdout.includes(form)]).toEqual([part, false]);
    }
  });

  test('that the Dockerfile needs and the rule does not have is told with its line', async () => {
    const failure = world.build('secretless', {
      dockerfile: `${base}RUN --mount=type=secret,id=npm,required=true cat /run/secrets/npm\n`,
    });
    await expect(failure).rejects.toMatchObject({
      problem: { code: 'build.secret_missing', fault: 'user', params: { file: 'Dockerfile', line: 3, secret: 'npm' } },
    });
  });

  /** Manifest, configuration and layers, as the registry holds them. */
  async function imageParts(repository: string, reference: string): Promise<readonly (readonly [string, Buffer])[]> {
    const get = async (path: string) => {
      const answer = await fetch(`${world.registry.url}/v2/${repository}/${path}`, {
        headers: { accept: manifestType },
      });
      return Buffer.from(await answer.arrayBuffer());
    };
    const manifest = await get(`manifests/${reference}`);
    const { config, layers }: { config: { digest: string }; layers: { digest: string }[] } = JSON.parse(
      manifest.toString(),
    );
    const parts: (readonly [string, Buffer])[] = [['manifest', manifest]];
    for (const [index, { digest }] of [config, ...layers].entries()) {
      parts.push([`blob-${index}`, await get(`blobs/${digest}`)]);
    }
    return parts;
  }
});

describe('the stage to build', () => {
  const dockerfile = `${base}FROM base AS tests\nRUN echo tested > /tests\nFROM base\nRUN exit 9\n`;

  test('is the one the rule names, and what only other stages need is not run', async () => {
    const built = await world.build('staged', { dockerfile, input: { targetStage: 'tests' } });
    expect(built.lines.join('\n')).not.toContain('exit 9');
  });

  test('that is not in the Dockerfile is told with its name, for good', async () => {
    const failure = world.build('stageless', { dockerfile, input: { targetStage: 'nobody' } });
    await expect(failure).rejects.toMatchObject({
      problem: { code: 'build.target_stage_missing', fault: 'user', isPermanent: true, params: { stage: 'nobody' } },
    });
  });
});

describe('what a build starts from', () => {
  test('is told with its digest; an architecture it does not have is the user’s to mend', async () => {
    const repository = 'slipway-base/library/only';
    const target = { host: world.registry.host, repository, isInsecure: true, username: '', password: '' };
    const made = await world.build('only', { dockerfile: base, input: { target } });
    const bytes = indexBuild([
      {
        mediaType: made.mediaType,
        digest: made.digest,
        size: made.sizeBytes,
        platform: { os: 'linux', architecture: 'amd64' },
      },
    ]);
    const put = await fetch(`${world.registry.url}/v2/${repository}/manifests/1`, {
      method: 'PUT',
      headers: { 'content-type': 'application/vnd.oci.image.index.v1+json' },
      body: new Uint8Array(bytes),
    });
    expect(put.status).toBe(201);
    const built = await world.build('based', { dockerfile: 'FROM only:1\nRUN echo x > /x\n' });
    const digest = put.headers.get('docker-content-digest');
    expect(built.baseImages).toEqual([{ name: 'docker.io/library/only:1', digest }]);

    const failure = world.build('armless', {
      dockerfile: 'FROM only:1\nRUN echo x > /x\n',
      input: { platform: 'linux/arm64' },
    });
    await expect(failure).rejects.toMatchObject({
      problem: {
        code: 'build.base_image_architecture_missing',
        fault: 'user',
        params: { file: 'Dockerfile', line: 1, image: 'docker.io/library/only:1' },
      },
    });
  });
});

test('a registry that refuses the image is told as such, and the build is not tried again', async () => {
  const refusing = createServer((request, response) => {
    const isPush = request.method !== 'GET' || request.url !== '/v2/';
    const errors = [{ code: 'DENIED', message: 'requested access to the resource is denied' }];
    response.writeHead(isPush ? 403 : 200, { 'content-type': 'application/json' }).end(JSON.stringify({ errors }));
  });
  await new Promise<void>((resolve) => refusing.listen(0, '127.0.0.1', resolve));
  const { port }: AddressInfo = Object(refusing.address());
  try {
    const target = {
      host: `127.0.0.1:${port}`,
      repository: 'shop/web',
      isInsecure: true,
      username: 'ada',
      password: 'hunter2-hunter2',
    };
    const failure = world.build('refused', { dockerfile: base, input: { target } });
    await expect(failure).rejects.toMatchObject({
      problem: { code: 'build.push_refused', fault: 'system', isPermanent: true },
    });
  } finally {
    refusing.close();
  }
});
