import type { IgnoredReason, SourceChange } from '../../domain/source.ts';

/** What a delivery's body says: changes of refs, something that starts nothing, or nothing that can be read. */
export type ParsedDelivery =
  | { readonly kind: 'changes'; readonly changes: readonly SourceChange[] }
  | { readonly kind: 'ignored'; readonly reason: IgnoredReason }
  | { readonly kind: 'invalid'; readonly reason: string };

/** The code repository a hook is bound to, as the host names it. */
export interface BoundRepository {
  readonly codeNamespace: string;
  readonly codeRepository: string;
}

/** A signature being checked over raw bytes as they arrive, so that a large body need not be held to be verified. */
export interface SignatureCheck {
  update(chunk: Uint8Array): void;
  /** Whether one of the secrets signed exactly these bytes; compares in constant time. Asked once, at the end. */
  isValid(): boolean;
}

/** A verified delivery as the inbox keeps it, where a host's own form cannot be kept. */
export interface KeptDelivery {
  readonly deliveryId: string;
  readonly body: Uint8Array;
}

/** One kind of source host: its signature, its delivery id, its payload (docs/product.md, section 5). */
export interface SourceHostAdapter {
  /** False where the secret covers only the headers: what the body says is a hint, and the ref is read again. */
  readonly isBodySigned: boolean;
  signatureCheck(
    headers: Headers,
    options: { readonly secrets: readonly string[]; readonly now: Date },
  ): SignatureCheck;
  /** The host's id of the delivery, the same on redelivery; undefined when it sent none. */
  deliveryId(headers: Headers): string | undefined;
  event(headers: Headers): string;
  /** Reads a verified body. Never throws: what cannot be read is `invalid` with the reason. */
  parse(event: string, body: Uint8Array, bound: BoundRepository): ParsedDelivery;
  /** Set where a body repeats its secret, or where only the body tells one delivery from another. */
  keep?(body: Uint8Array, headers: Headers): KeptDelivery;
}
