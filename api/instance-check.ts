import { createHash, randomBytes } from 'node:crypto';
import { z } from '@hono/zod-openapi';
import type { RegistryClient } from '../activities/drivers/registry.ts';
import type { ApiDeps } from './deps.ts';

export const checkSchema = z
  .object({
    ok: z.boolean(),
    latencyMs: z.number().nullable().openapi({ description: 'Of the first answer; null when there was none.' }),
    checks: z.array(
      z.object({ name: z.enum(['connect', 'push', 'pull', 'delete']), ok: z.boolean(), detail: z.string() }),
    ),
  })
  .openapi('InstanceCheck');
type Check = z.infer<typeof checkSchema>['checks'][number];

const checkMs = 20_000;
const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const emptyConfig = new TextEncoder().encode('{}');

/**
 * Connects, logs in, pushes a tiny probe under `slipway-check/probe`, pulls it and deletes it. What fails ends the check: later
 * lines would only repeat it. Never throws for a registry's failure.
 */
export async function checkInstance(
  { registries }: Pick<ApiDeps, 'registries'>,
  { instance, signal: outer }: { instance: string; signal: AbortSignal },
): Promise<z.infer<typeof checkSchema>> {
  const signal = AbortSignal.any([outer, AbortSignal.timeout(checkMs)]);
  const repository = 'slipway-check/probe';
  const startedAt = performance.now();
  let client: RegistryClient | undefined;
  let digest = '';
  let latencyMs: number | null = null;
  const probe = newProbe();

  const steps: readonly { name: Check['name']; run: () => Promise<string> }[] = [
    {
      name: 'connect',
      run: async () => {
        client = await registries.client(instance, [{ repository, actions: ['pull', 'push', 'delete'] }]);
        await client.ping({ signal });
        latencyMs = Math.round(performance.now() - startedAt);
        return `Answers and takes the login, in ${latencyMs} ms.`;
      },
    },
    {
      name: 'push',
      run: async () => {
        await client?.blobPut(repository, emptyConfig, { signal, digest: sha256(emptyConfig) });
        digest =
          (await client?.manifestPut(repository, probe.tag, { signal, mediaType: manifestType, bytes: probe.bytes })) ??
          '';
        return 'Takes a pushed image.';
      },
    },
    {
      name: 'pull',
      run: async () => {
        const stored = await client?.manifestGet(repository, digest, { signal });
        if (stored?.digest !== probe.digest) throw new Error('What was read back is not what was pushed.');
        return 'Gives back the same bytes.';
      },
    },
    {
      name: 'delete',
      run: async () => {
        await client?.manifestDelete(repository, digest, { signal });
        return 'Deletes an image.';
      },
    },
  ];

  const checks: Check[] = [];
  for (const { name, run } of steps) {
    checks.push(await outcomeOf(name, run));
    if (checks.at(-1)?.ok !== true) break;
  }
  return { ok: checks.every((check) => check.ok), latencyMs, checks };
}

async function outcomeOf(name: Check['name'], run: () => Promise<string>): Promise<Check> {
  try {
    return { name, ok: true, detail: await run() };
  } catch (error) {
    return { name, ok: false, detail: error instanceof Error ? error.message : String(error) };
  }
}

/** An image of nothing, new each time, so that two checks at once do not delete each other's. */
function newProbe() {
  const tag = `check-${randomBytes(8).toString('hex')}`;
  const config = {
    mediaType: 'application/vnd.oci.empty.v1+json',
    digest: sha256(emptyConfig),
    size: emptyConfig.length,
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: manifestType,
    artifactType: 'application/vnd.slipway.check.v1',
    config,
    layers: [config],
    annotations: { 'slipway.check': tag },
  };
  const bytes = new TextEncoder().encode(JSON.stringify(manifest));
  return { tag, bytes, digest: sha256(bytes) };
}

function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
