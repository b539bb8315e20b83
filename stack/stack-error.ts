/** Why the stack cannot run; the message is the one sentence to show, naming what is missing and what to do. */
export class StackError extends Error {
  override readonly name = 'StackError';
}
