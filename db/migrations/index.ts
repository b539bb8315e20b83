import type { Migration } from 'kysely/migration';
import * as init from './20261121T090000Z-init.ts';

/** Every migration by its name, in order; a static list survives bundling. */
export const migrations: Readonly<Record<string, Migration>> = {
  '20261121T090000Z-init': init,
};
