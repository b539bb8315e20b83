import type { Migration } from 'kysely/migration';
import * as init from './20261121T090000Z-init.ts';
import * as inbox from './20261121T100000Z-inbox.ts';
import * as sourceHosts from './20261121T101000Z-source-hosts.ts';
import * as reconcile from './20261121T102000Z-reconcile.ts';
import * as baseImages from './20261121T102100Z-base-images.ts';
import * as retention from './20261121T102200Z-retention.ts';
import * as usedImages from './20261121T102300Z-used-images.ts';
import * as order from './20261121T103000Z-order.ts';
import * as buildRun from './20261121T103100Z-build-run.ts';
import * as buildRule from './20261121T105000Z-build-rule.ts';
import * as buildCache from './20261121T106000Z-build-cache.ts';
import * as logIndex from './20261121T107000Z-log-index.ts';
import * as sourceAccountName from './20261121T108000Z-source-account-name.ts';
import * as automaticStart from './20261121T109000Z-automatic-start.ts';
import * as heldImage from './20261121T109100Z-held-image.ts';
import * as chainScope from './20261121T109200Z-chain-scope.ts';

/** Every migration by its name, in order; a static list survives bundling. */
export const migrations: Readonly<Record<string, Migration>> = {
  '20261121T090000Z-init': init,
  '20261121T100000Z-inbox': inbox,
  '20261121T101000Z-source-hosts': sourceHosts,
  '20261121T102000Z-reconcile': reconcile,
  '20261121T102100Z-base-images': baseImages,
  '20261121T102200Z-retention': retention,
  '20261121T102300Z-used-images': usedImages,
  '20261121T103000Z-order': order,
  '20261121T103100Z-build-run': buildRun,
  '20261121T105000Z-build-rule': buildRule,
  '20261121T106000Z-build-cache': buildCache,
  '20261121T107000Z-log-index': logIndex,
  '20261121T108000Z-source-account-name': sourceAccountName,
  '20261121T109000Z-automatic-start': automaticStart,
  '20261121T109100Z-held-image': heldImage,
  '20261121T109200Z-chain-scope': chainScope,
};
