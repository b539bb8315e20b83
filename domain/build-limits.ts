import type { BuildErrorCode, BuildProblem } from './build-error.ts';
import type { Manifest } from './image-manifest.ts';
import { limits } from './limits.ts';

/** What may be told of an image's size; sizes are of what a registry stores. */
type ImageLimits = Pick<typeof limits, 'buildImageBytes' | 'buildLayerBytes' | 'buildImageLayers'>;

/** Why a built image may not be kept, or undefined (docs/product.md, section 15). An index has no layers of its own. */
export function imageLimitProblem(manifest: Manifest, allowed: ImageLimits = limits): BuildProblem | undefined {
  if (manifest.kind === 'index') return undefined;
  const { layers, config } = manifest;
  if (layers.length > allowed.buildImageLayers) {
    const text = `The image has ${layers.length} layers and may have ${allowed.buildImageLayers}. Join steps of the Dockerfile into one, or start from a smaller base image.`;
    return limitProblem('build.too_many_layers', text, { layers: layers.length, limit: allowed.buildImageLayers });
  }
  const largest = layers.reduce((most, { size }) => Math.max(most, size), 0);
  if (largest > allowed.buildLayerBytes) {
    const text = `A layer of the image holds ${inWords(largest)} and may hold ${inWords(allowed.buildLayerBytes)}. Leave out what the image does not need, or split the step that makes it.`;
    return limitProblem('build.layer_too_large', text, { sizeBytes: largest, limit: allowed.buildLayerBytes });
  }
  const sizeBytes = layers.reduce((sum, { size }) => sum + size, config.size);
  if (sizeBytes <= allowed.buildImageBytes) return undefined;
  const text = `The image holds ${inWords(sizeBytes)} and may hold ${inWords(allowed.buildImageBytes)}. Leave out what it does not need: a stage of its own for building often does.`;
  return limitProblem('build.image_too_large', text, { sizeBytes, limit: allowed.buildImageBytes });
}

/** Steps of a build were killed because they used more memory than they may together. */
export function outOfMemoryProblem(memoryBytes: number, place: BuildProblem['params']): BuildProblem {
  const text = `A step${atPlace(place)} ran out of memory: the steps of a build may use ${inWords(memoryBytes)} together, and one was killed. Make it use less, such as by fewer parallel jobs, or build fewer architectures at once.`;
  return limitProblem('build.out_of_memory', text, { ...place, limit: memoryBytes });
}

/** Steps of a build could start no more processes. */
export function tooManyProcessesProblem(processes: number, place: BuildProblem['params']): BuildProblem {
  const text = `A step${atPlace(place)} failed after the build had used up its ${processes} processes and threads. Make it start fewer of them.`;
  return limitProblem('build.too_many_processes', text, { ...place, limit: processes });
}

/** A step failed on a disk without room: whoever filled it, trying again on another builder, or later, may help. */
export function diskFullProblem(place: BuildProblem['params']): BuildProblem {
  const text = `A step${atPlace(place)} failed when the builder had no disk space left. Slipway tries again; if it goes on, let the step write less, or enlarge or prune the builder's disk.`;
  return { code: 'build.disk_full', fault: 'system', isPermanent: false, params: place, text };
}

function limitProblem(code: BuildErrorCode, text: string, params: BuildProblem['params']): BuildProblem {
  return { code, fault: 'user', isPermanent: true, params, text };
}

function atPlace({ file, line }: BuildProblem['params']): string {
  return file === undefined || line === undefined ? '' : ` at ${file}:${line}`;
}

function inWords(bytes: number): string {
  const isLarge = bytes >= 1024 ** 3;
  return `${Number((bytes / (isLarge ? 1024 ** 3 : 1024 ** 2)).toPrecision(3))} ${isLarge ? 'GB' : 'MB'}`;
}
