import pg from 'pg';
import { afterAll, inject } from 'vitest';

// End-to-end tests share one stack and some of them break it on purpose: one file at a time has it. The lock lives as long as the
// connection, so a file that dies gives it back.
const turn = new pg.Client({ connectionString: inject('stack').postgres.url });
await turn.connect();
await turn.query("select pg_advisory_lock(hashtext('stack turn'))");
afterAll(() => turn.end());
