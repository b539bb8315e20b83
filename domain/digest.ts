import { z } from 'zod';

/** The one digest algorithm we accept; checked before a digest is used in a path, a query or a file name. */
const digestPattern = /^sha256:[a-f0-9]{64}$/;

export const digestSchema = z.string().regex(digestPattern, 'a digest is sha256: and 64 lower-case hex characters');

export function isDigest(text: string): boolean {
  return digestPattern.test(text);
}
