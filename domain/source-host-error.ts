/**
 * How a host's API said no. `refused`: it does not take the credential. `forbidden`: the credential lacks the right. `missing`: there
 * is no such thing, or it may not be seen. `invalid`: the host does not take what was asked. `blocked`: the egress rules forbid the
 * address. `limited`: too many calls. `unreachable`: no answer, or none that can be understood.
 */
export type HostErrorKind = 'refused' | 'forbidden' | 'missing' | 'invalid' | 'blocked' | 'limited' | 'unreachable';

/** A call to a source host's API that came to nothing. The message is a sentence for the user and holds no credential. */
export class HostError extends Error {
  override readonly name = 'HostError';
  readonly kind: HostErrorKind;
  /** null: there was no answer. */
  readonly status: number | null;
  /** The host's own wish, milliseconds. */
  readonly retryAfterMs: number | null;
  readonly isTimeout: boolean;

  constructor(
    kind: HostErrorKind,
    message: string,
    {
      status = null,
      retryAfterMs = null,
      isTimeout = false,
      cause,
    }: { status?: number | null; retryAfterMs?: number | null; isTimeout?: boolean; cause?: unknown } = {},
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
    this.status = status;
    this.retryAfterMs = retryAfterMs;
    this.isTimeout = isTimeout;
  }

  /** Trying again as it is cannot help. */
  get isPermanent(): boolean {
    return this.kind !== 'limited' && this.kind !== 'unreachable';
  }
}
