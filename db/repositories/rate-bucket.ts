import { sql } from 'kysely';
import type { Database } from '../database.ts';

/** How fast a bucket fills, and how much it holds. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

export interface Ask {
  readonly key: string;
  readonly count: number;
}

/**
 * Takes tokens out of buckets, which are full when first asked; answers how many of those asked for each key was given. Kept here
 * and not in memory: every process counts the same, and an attacker cannot make it forget.
 */
export async function takeTokens(
  db: Database,
  { asks, rate, at }: { asks: readonly Ask[]; rate: Rate; at: Date },
): Promise<ReadonlyMap<string, number>> {
  if (asks.length === 0) return new Map();
  const { perSecond, burst } = rate;
  // Locked in one order everywhere, so that two processes never wait for each other.
  const sorted = asks.toSorted((a, b) => (a.key < b.key ? -1 : 1));
  const refilled = sql<number>`least(${burst}::float8,
    bucket.tokens + ${perSecond}::float8 * greatest(0, extract(epoch from excluded.at - bucket.at)::float8))`;
  const { rows } = await sql<{ key: string; granted: number }>`
    insert into rate_bucket as bucket (key, tokens, granted, at)
    select key, ${burst}::float8 - least(asked, ${burst}::integer), least(asked, ${burst}::integer), ${at}
    from unnest(${sorted.map(({ key }) => key)}::text[], ${sorted.map(({ count }) => count)}::integer[]) as ask (key, asked)
    on conflict (key) do update set
      granted = least(excluded.granted, floor(${refilled})),
      tokens = ${refilled} - least(excluded.granted, floor(${refilled})),
      at = greatest(bucket.at, excluded.at)
    returning key, granted`.execute(db);
  return new Map(rows.map(({ key, granted }) => [key, granted]));
}

/** Which of the keys have no token left now. */
export async function listEmptyBuckets(
  db: Database,
  { keys, rate, at }: { keys: readonly string[]; rate: Rate; at: Date },
): Promise<ReadonlySet<string>> {
  const { rows } = await sql<{ key: string }>`
    select key from rate_bucket
    where key = any(${[...keys]}::text[])
      and tokens + ${rate.perSecond}::float8 * greatest(0, extract(epoch from ${at}::timestamptz - at)::float8) < 1`.execute(
    db,
  );
  return new Set(rows.map(({ key }) => key));
}

/** Drops buckets nobody asked since then: they would be full again. */
export async function deleteIdleBuckets(db: Database, idleSince: Date): Promise<void> {
  await db.deleteFrom('rate_bucket').where('at', '<', idleSince).execute();
}
