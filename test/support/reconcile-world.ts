import { randomBytes } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { vi } from 'vitest';
import type { Git } from '../../activities/drivers/git.ts';
import { createSecretBox } from '../../activities/drivers/secret-box.ts';
import type { HostDeliveries, SourceHostClient } from '../../activities/drivers/source-host.ts';
import { createReconcileActivities } from '../../activities/reconcile.ts';
import type { ReconcileInput } from '../../activities/reconcile.ts';
import type { Database } from '../../db/database.ts';
import { runActivity } from './run-activity.ts';
import { seedBuildRule, seedRepository } from './seed.ts';
import type { SeededRepository } from './seed.ts';
import { storedLogins } from './source-logins.ts';

export const secretBox = createSecretBox({ keys: [randomBytes(32)] });
/** When the first round begins. */
export const at = new Date('2026-11-21T12:00:00Z');
/** A round that begins so much later. */
export const later = (minutes: number) => ({ startedAtMs: at.getTime() + minutes * 60_000 });

/** Bound sources in a database, and the activity that compares them with a git of the test's own. */
export function createReconcileWorld(db: Database) {
  /** A source bound to a repository that builds `main` and tags `v…`; its refs are what the test says. */
  async function newSource({ isAutoBuild = true }: { isAutoBuild?: boolean } = {}) {
    const repository = await seedRepository(db, secretBox, { isAutoBuild });
    const imageTags = [{ template: 'latest' }];
    await seedBuildRule(db, repository.id, { ref: { type: 'branch', name: 'main' }, imageTags });
    await seedBuildRule(db, repository.id, { ref: { type: 'tag', name: 'v.*', match: 'regexp' }, imageTags });
    return repository;
  }

  /** Activities whose git answers with these branches and tags, as `heads/main`. */
  function reconciler(refs: Readonly<Record<string, string>> | Error) {
    let now = at.getTime();
    const refsList = vi.fn<Git['refsList']>(async () => {
      if (refs instanceof Error) throw refs;
      return Object.entries(refs).map(([name, commit]) => {
        const [kind, ...rest] = name.split('/');
        return { ref: rest.join('/'), refType: kind === 'tags' ? 'tag' : 'branch', commit, objectId: commit } as const;
      });
    });
    const deliveriesList = vi.fn<HostDeliveries['deliveriesList']>(async () => []);
    const deliveryRedeliver = vi.fn<HostDeliveries['deliveryRedeliver']>(async () => undefined);
    const client = {
      credentialCheck: vi.fn<SourceHostClient['credentialCheck']>(),
      hookInstall: vi.fn<SourceHostClient['hookInstall']>(),
      hookRemove: vi.fn<SourceHostClient['hookRemove']>(),
      statusSet: vi.fn<SourceHostClient['statusSet']>(),
      deliveries: { deliveriesList, deliveryRedeliver },
    };
    const login = JSON.stringify({ kind: 'token', token: 'token-of-ada' });
    const deps = {
      ...{
        db,
        git: { refsList },
        sourceHosts: { client: () => client },
        sourceLogins: storedLogins(async () => login),
      },
      clock: () => new Date((now += 1)),
    };
    const { reconcileSources } = createReconcileActivities(deps);
    return {
      refsList,
      deliveriesList,
      deliveryRedeliver,
      run: (input: Partial<ReconcileInput> = {}) =>
        runActivity(reconcileSources, { startedAtMs: at.getTime(), isNew: false, graceMs: 0, ...input }),
    };
  }

  async function seenOf({ id }: SeededRepository) {
    const rows = await db.selectFrom('source_ref').select(['ref', 'tip']).where('repository_id', '=', id).execute();
    return Object.fromEntries(rows.map(({ ref, tip }) => [ref, tip]));
  }

  async function inboxOf({ id }: SeededRepository) {
    const rows = await db.selectFrom('inbox').selectAll().where('repository_id', '=', id).orderBy('id').execute();
    return rows.map(({ delivery_id: delivery, cause, event, host, body }) => ({
      delivery,
      cause,
      event,
      host,
      push: JSON.parse(gunzipSync(body ?? Buffer.alloc(0)).toString()),
    }));
  }

  const bindingOf = ({ id }: SeededRepository) =>
    db.selectFrom('source_binding').selectAll().where('repository_id', '=', id).executeTakeFirstOrThrow();

  return { newSource, reconciler, seenOf, inboxOf, bindingOf };
}
