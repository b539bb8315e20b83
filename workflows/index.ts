export { deliveryChain } from './delivery-chain.ts';
export { triggerDelivery } from './trigger.ts';
