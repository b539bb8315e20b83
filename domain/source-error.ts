/** Why a source cannot be taken; stable, each with a page in docs/errors. */
export type SourceErrorCode =
  | 'source.not_authorized'
  | 'source.credential_refused'
  | 'source.not_found'
  | 'source.ref_not_found'
  | 'source.not_reachable'
  | 'source.address_refused'
  | 'source.too_many_refs'
  | 'build.commit_missing'
  | 'build.context_missing'
  | 'build.context_link_refused'
  | 'build.dockerfile_missing'
  | 'build.source_too_large'
  | 'build.source_unsafe';

export interface SourceErrorOptions {
  readonly params?: Readonly<Record<string, string | number>>;
  readonly cause?: unknown;
}

/** Why a source, or its build context, is not to be had. The message is a sentence for the user and holds no credential. */
export class SourceError extends Error {
  override readonly name = 'SourceError';
  readonly code: SourceErrorCode;
  readonly params: Readonly<Record<string, string | number>>;

  constructor(code: SourceErrorCode, message: string, { params = {}, cause }: SourceErrorOptions = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.params = params;
  }

  /** Trying again as it is cannot help. */
  get isPermanent(): boolean {
    return this.code !== 'source.not_reachable';
  }
}
