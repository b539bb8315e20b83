import { openChecker } from './checker.ts';
import type { StackCheck } from './checker.ts';
import { stackFile } from './stack-world.ts';

export type { StackCheck } from './checker.ts';

/** The checker over the stack of the end-to-end tests; for the length of one test file. */
export function openStackCheck(): Promise<StackCheck> {
  return openChecker(stackFile());
}
