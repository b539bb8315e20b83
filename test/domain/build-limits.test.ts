import { describe, expect, test } from 'vitest';
import { imageLimitProblem, outOfMemoryProblem, tooManyProcessesProblem } from '../../domain/build-limits.ts';
import { manifestMediaTypes, parseManifest, type Manifest } from '../../domain/image-manifest.ts';

const allowed = { buildImageBytes: 10 * 1024 ** 3, buildLayerBytes: 5 * 1024 ** 3, buildImageLayers: 127 };

function imageOf(layerSizes: readonly number[]): Manifest {
  const descriptor = (size: number) => ({
    mediaType: 'application/octet-stream',
    digest: `sha256:${'0'.repeat(64)}`,
    size,
  });
  const mediaType = manifestMediaTypes.ociManifest;
  const body = { schemaVersion: 2, mediaType, config: descriptor(1_000), layers: layerSizes.map(descriptor) };
  return parseManifest({ mediaType, bytes: Buffer.from(JSON.stringify(body)) });
}

describe('the size of an image', () => {
  test.each([
    ['nothing but its configuration', []],
    ['as many layers as it may have', Array.from({ length: 127 }, () => 1)],
    ['a layer as large as it may be', [allowed.buildLayerBytes]],
    ['two layers that leave room for the configuration', [allowed.buildLayerBytes, allowed.buildLayerBytes - 1_000]],
  ])('an image with %s may be kept', (_, layers) => {
    expect(imageLimitProblem(imageOf(layers))).toBeUndefined();
  });

  test.each([
    ['build.too_many_layers', Array.from({ length: 128 }, () => 1), { layers: 128, limit: 127 }],
    ['build.layer_too_large', [allowed.buildLayerBytes + 1], { sizeBytes: allowed.buildLayerBytes + 1 }],
    ['build.image_too_large', [allowed.buildLayerBytes, allowed.buildLayerBytes], { limit: allowed.buildImageBytes }],
  ])('%s is the user’s to mend, and trying again does not help', (code, layers, params) => {
    expect(imageLimitProblem(imageOf(layers))).toMatchObject({ code, fault: 'user', isPermanent: true, params });
  });

  test('the sentence says how large it is and how large it may be', () => {
    expect(imageLimitProblem(imageOf([6.25 * 1024 ** 3]))?.text).toMatch(/holds 6\.25 GB and may hold 5 GB/);
  });
});

test('what a build ran out of is named with its limit, and with the step where that is known', () => {
  const memory = outOfMemoryProblem(4 * 1024 ** 3, { file: 'Dockerfile', line: 7 });
  expect(memory).toMatchObject({
    code: 'build.out_of_memory',
    fault: 'user',
    isPermanent: true,
    params: { file: 'Dockerfile', line: 7, limit: 4 * 1024 ** 3 },
  });
  expect(memory.text).toMatch(/^A step at Dockerfile:7 ran out of memory: .* 4 GB together/);
  expect(tooManyProcessesProblem(2_048, {}).text).toMatch(
    /^A step failed after the build had used up its 2048 processes/,
  );
});
