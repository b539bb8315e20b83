import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';

/** An environment of one activity; failures are what a test expects and looks at, so they are not logged. */
export function newActivityEnvironment(): MockActivityEnvironment {
  return new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
}

/** Runs one activity in an environment of its own; its answer keeps its type, and its error is what the activity threw. */
export function runActivity<Input, Result>(
  activity: (input: Input) => Promise<Result>,
  input: Input,
  environment = newActivityEnvironment(),
): Promise<Result> {
  return new Promise((resolve, reject) => {
    environment.run(async () => resolve(await activity(input))).catch(reject);
  });
}
