import type { TestProject } from 'vitest/node';
import type { StackFile } from '../../stack/stack-file.ts';
import { npmStart } from './npm-start.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The running stack, as its `stack.json` says, and the folder it keeps everything in. */
    stack: StackFile & { readonly home: string };
  }
}

/** One stack for all end-to-end tests; programs and base images come from the cache folder that every start shares. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { stack, stop } = await npmStart();
  project.provide('stack', stack);
  return stop;
}
