import { defineSearchAttributeKey } from '@temporalio/common';

/** Typed search attributes for operators; never secret, never read by the product itself. */
export const searchAttributes = {
  instance: defineSearchAttributeKey('SlipwayInstance', 'KEYWORD'),
  namespace: defineSearchAttributeKey('SlipwayNamespace', 'KEYWORD'),
  repository: defineSearchAttributeKey('SlipwayRepository', 'KEYWORD'),
  chainId: defineSearchAttributeKey('SlipwayChainId', 'KEYWORD'),
} as const;
