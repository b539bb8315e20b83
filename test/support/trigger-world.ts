import { onTestFinished } from 'vitest';
import { createEgress } from '../../activities/drivers/egress.ts';
import { createWebhookSender } from '../../activities/drivers/webhook.ts';
import { createTriggerActivities, type OpenDeliveriesInput } from '../../activities/trigger.ts';
import type { Database } from '../../db/database.ts';
import { openReceiverZoo, type ReceiverZoo } from './receiver-zoo.ts';
import { runActivity } from './run-activity.ts';
import { seedRun, type SeededRun } from './seed-run.ts';

export interface TriggerWorld {
  readonly db: Database;
  readonly zoo: ReceiverZoo;
  readonly run: SeededRun;
  readonly input: OpenDeliveriesInput;
  readonly activities: ReturnType<typeof createTriggerActivities>;
  readonly clock: { now: Date };
}

/** A run whose two tags moved, triggers that point into a zoo, and the activities on a clock of their own. */
export async function newTriggerWorld(
  db: Database,
  triggersAt: (url: string) => readonly Readonly<Record<string, unknown>>[],
  { timeoutMs = 10_000 }: { timeoutMs?: number } = {},
): Promise<TriggerWorld> {
  const zoo = await openReceiverZoo();
  onTestFinished(() => zoo.close());
  const run = await seedRun(db, { triggers: triggersAt(zoo.url) });
  const clock = { now: new Date('2026-11-21T10:00:00.000Z') };
  const policy = { allow: ['loopback'], denied: [], ports: 'any', isHttpAllowed: true } as const;
  const activities = createTriggerActivities({
    db,
    webhook: createWebhookSender({
      openEgress: (options) => createEgress({ policy, ...options }),
      clock: () => clock.now,
      timeoutMs,
    }),
    secretBox: run.secretBox,
    clock: () => clock.now,
  });
  const input: OpenDeliveriesInput = {
    runId: run.runId,
    attempt: 1,
    repository: run.repository,
    images: run.images,
    updates: [
      { tag: 'v1', previousDigest: null, sequence: 1 },
      { tag: 'latest', previousDigest: `sha256:${'d'.repeat(64)}`, sequence: 5 },
    ],
    source: null,
  };
  return { db, zoo, run, input, activities, clock };
}

export function send({ activities }: TriggerWorld, deliveryId: string, { number = 1, resend = 0 } = {}) {
  return runActivity(activities.sendTrigger, { deliveryId, number, resend });
}

export async function openOne(world: TriggerWorld): Promise<string> {
  const opened = await runActivity(world.activities.openDeliveries, {
    ...world.input,
    updates: world.input.updates.slice(0, 1),
  });
  const [delivery] = opened.deliveries;
  if (delivery === undefined) throw new Error('nothing to deliver');
  return delivery.id;
}

export function deliveryRow({ db }: TriggerWorld, id: string) {
  return db.selectFrom('delivery').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
}

export function attemptRows({ db }: TriggerWorld, id: string) {
  return db.selectFrom('delivery_attempt').selectAll().where('delivery_id', '=', id).orderBy('number').execute();
}

/** The run's trigger by its place in the list the world was made with. */
export function triggerRow({ db, run }: TriggerWorld, index = 0) {
  return db
    .selectFrom('trigger')
    .selectAll()
    .where('id', '=', run.triggers[index] ?? '')
    .executeTakeFirstOrThrow();
}

export function childRows({ db, run }: TriggerWorld) {
  return db
    .selectFrom('run_step_child')
    .select(['key', 'state', 'reason', 'result'])
    .where('run_id', '=', run.runId)
    .where('step', '=', 'trigger')
    .orderBy('started_at')
    .execute();
}

export async function pointAt(world: TriggerWorld, url: string): Promise<void> {
  const { id, definition } = await triggerRow(world);
  await world.db
    .updateTable('trigger')
    .set({ definition: JSON.stringify({ ...definition, url }) })
    .where('id', '=', id)
    .execute();
}
