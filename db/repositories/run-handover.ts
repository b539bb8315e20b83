import { workflowIds } from '../../domain/run-id.ts';
import type { DatabaseTransaction } from '../database.ts';
import { announceStart } from './run-concurrency.ts';
import { findRunContext } from './run-context.ts';
import { chainSnapshot, insertRun } from './run-start.ts';
import { drawOrderNo } from './source-ref.ts';

/**
 * Hands the image of a build outside a chain to the chain that covers its repository without a build node: it starts at the push
 * step, once for every tag the build moved (docs/product.md, section 8, "A chain takes over"). In the transaction that ends the
 * build's run, so that it happens once and is not forgotten. Answers the ids of the runs.
 */
export async function handOver(
  trx: DatabaseTransaction,
  { runId, at }: { runId: string; at: Date },
): Promise<readonly string[]> {
  const built = await trx
    .selectFrom('run')
    .select(['input', 'images', 'repository_id', 'actor'])
    .where('id', '=', runId)
    .executeTakeFirstOrThrow();
  const { chain: snapshot, origin, timings } = built.input;
  if (snapshot.id !== null || origin.kind !== 'source' || built.images.length === 0) return [];
  const context = await findRunContext(trx, built.repository_id);
  const chain = context?.chain ?? null;
  if (context === undefined || chain === null || chain.definition.nodes.build !== undefined) return [];
  const started: string[] = [];
  // In one order everywhere: two builds that end at once lock the lines of their tags one after the other.
  for (const { tag, digest } of built.images.toSorted((a, b) => (a.tag < b.tag ? -1 : 1))) {
    const run = await insertRun(trx, {
      repository: context.repository,
      chain: chainSnapshot(context, chain),
      triggers: context.triggers,
      origin: { kind: 'image', tag, digest },
      cause: 'image_push',
      actor: built.actor,
      orderNo: await drawOrderNo(trx),
      workflowId: ({ runId: id }) => workflowIds.run({ chainId: chain.id, cause: 'image_push', runId: id }),
      timings,
      at,
    });
    await announceStart(trx, run.id);
    started.push(run.id);
  }
  return started;
}
