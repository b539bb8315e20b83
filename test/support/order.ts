import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** About how long one file of a project takes, in seconds. */
const secondsOf: Readonly<Record<string, number>> = { e2e: 45, parts: 30, workflow: 9, postgres: 3, unit: 1 };

/**
 * End-to-end tests take turns at the one stack (test/support/stack-turn.ts) and mostly wait, the others keep the processors busy:
 * the queue mixes them so that one of the first and enough of the others are under way all the time, long ones first.
 */
export class MixedOrder extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const seconds = (file: TestSpecification) => secondsOf[file.project.name] ?? 1;
    const isEndToEnd = (file: TestSpecification) => file.project.name === 'e2e';
    const others = sorted.filter((file) => !isEndToEnd(file)).toSorted((a, b) => seconds(b) - seconds(a));
    const lanes = Math.max(1, this.ctx.config.maxWorkers - 1);
    return [...startsOf(sorted.filter(isEndToEnd), { seconds, lanes: 1 }), ...startsOf(others, { seconds, lanes })]
      .toSorted((a, b) => a.at - b.at)
      .map(({ file }) => file);
  }
}

/** When each file would start, in seconds, if the files alone had so many workers. */
function startsOf(
  files: readonly TestSpecification[],
  { seconds, lanes }: { seconds: (file: TestSpecification) => number; lanes: number },
): { file: TestSpecification; at: number }[] {
  let at = 0;
  return files.map((file) => {
    const start = { file, at };
    at += seconds(file) / lanes;
    return start;
  });
}
