/** Of what a source host or a commit says, so much is kept. */
const textLength = 2_000;

/** Text from outside as PostgreSQL can keep it, also in JSON: no NUL, no half of a surrogate pair, at most 2,000 characters; null where there is none. */
export function plainText(text: string | null | undefined): string | null {
  if (text === null || text === undefined || text === '') return null;
  return text.replaceAll('\0', '').slice(0, textLength).toWellFormed();
}
