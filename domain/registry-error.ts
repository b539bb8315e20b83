/** What a replication task names as its issue (docs/product.md, section 10). */
export const registryIssues = [
  'unauthorized',
  'tag_conflict',
  'unsupported_format',
  'network_error',
  'data_length_exceeded',
  'destination_quota',
  'verify_failed',
  'internal_error',
] as const;
export type RegistryIssue = (typeof registryIssues)[number];

export interface RegistryErrorOptions {
  readonly issue: RegistryIssue;
  /** Trying again as it is cannot help. */
  readonly isPermanent: boolean;
  readonly status?: number;
  /** The registry's own word, such as `MANIFEST_BLOB_UNKNOWN`. */
  readonly code?: string;
  /** What the registry asked for by `Retry-After`. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/** Everything the registry client throws, except the caller's own abort reason. Carries no credentials. */
export class RegistryError extends Error {
  override readonly name = 'RegistryError';
  readonly issue: RegistryIssue;
  readonly isPermanent: boolean;
  readonly status: number | undefined;
  readonly code: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(message: string, { issue, isPermanent, status, code, retryAfterMs, cause }: RegistryErrorOptions) {
    super(message, cause === undefined ? undefined : { cause });
    this.issue = issue;
    this.isPermanent = isPermanent;
    this.status = status;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

export function isNotFound(error: unknown): boolean {
  return error instanceof RegistryError && error.status === 404;
}
