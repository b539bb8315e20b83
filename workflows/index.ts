export { scheduledBuild } from './automatic-build.ts';
export { baseImageWatch } from './base-image.ts';
export { commitStatus } from './commit-status.ts';
export { deliveryChain } from './delivery-chain.ts';
export { maintenance } from './maintenance.ts';
export { sourceReconciliation } from './reconcile.ts';
export { retention } from './retention.ts';
export { triggerDelivery } from './trigger.ts';
