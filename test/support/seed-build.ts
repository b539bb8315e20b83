import { randomBytes } from 'node:crypto';
import { createSecretBox, type SecretBox } from '../../activities/drivers/secret-box.ts';
import type { Database } from '../../db/database.ts';
import { findRunContext } from '../../db/repositories/run-context.ts';
import { insertRun, outsideChain } from '../../db/repositories/run-start.ts';
import { buildRuleSchema, type BuildRuleDefinition } from '../../domain/build.ts';
import { defaultTimings, type RepositoryRef } from '../../domain/chain.ts';
import type { RunSource } from '../../domain/source.ts';
import { seedRepository } from './seed.ts';

/** A pending build outside any chain, with its run: what the activities of build and push start from. */
export interface SeededBuild {
  readonly runId: string;
  readonly buildId: string;
  readonly repository: RepositoryRef;
  readonly rule: BuildRuleDefinition;
  readonly source: RunSource;
  readonly secretBox: SecretBox;
}

/** Inserts the build, in a repository of its own where none is named; `rule` holds what a user would write beside a branch and one tag. */
export async function seedBuild(
  db: Database,
  {
    rule: fields = {},
    commit = 'd4ef3dc3b77a011a5779eec7efdd45f1ccab0a01',
    repositoryId,
  }: { rule?: Readonly<Record<string, unknown>>; commit?: string; repositoryId?: string } = {},
): Promise<SeededBuild> {
  const secretBox = createSecretBox({ keys: [randomBytes(32)] });
  const id = repositoryId ?? (await seedRepository(db, secretBox)).id;
  const context = await findRunContext(db, id);
  if (context === undefined) throw new Error('The seeded repository is not there.');
  const { repository } = context;
  const rule = buildRuleSchema.parse({
    ref: { type: 'branch', name: 'main' },
    imageTags: [{ template: 'v1' }],
    ...fields,
  });
  const source: RunSource = {
    ref: 'main',
    refType: 'branch',
    commit,
    message: 'change',
    author: 'Ada',
    pushedAt: '2026-11-21T10:00:00.000Z',
  };
  const run = await db.transaction().execute((trx) =>
    insertRun(trx, {
      repository,
      chain: outsideChain,
      triggers: [],
      origin: {
        kind: 'source',
        rule: { ...rule, id: `crbr-${randomBytes(8).toString('hex')}` },
        source,
        tags: ['v1'],
        isCached: true,
        buildRegion: null,
        reuse: [],
      },
      cause: 'manual',
      actor: null,
      orderNo: 1,
      workflowId: ({ buildId }) => `build/${buildId}`,
      timings: defaultTimings,
      at: new Date(),
    }),
  );
  return { runId: run.id, buildId: run.build_id ?? '', repository, rule, source, secretBox };
}
