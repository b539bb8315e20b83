const headerBytes = 12;
const typeA = 1;
const classInternet = 1;

/**
 * Answers a DNS query: every name has the one address, and nothing else. For a network whose only way out is a gateway that looks
 * at names itself. Answers undefined to what is no plain query.
 */
export function dnsAnswer(query: Buffer, address: string): Buffer | undefined {
  const end = questionEnd(query);
  if (end === undefined) return undefined;
  const type = query.readUInt16BE(end - 4);
  const isAsked = type === typeA && query.readUInt16BE(end - 2) === classInternet;
  const header = Buffer.alloc(headerBytes);
  query.copy(header, 0, 0, 2);
  // An answer, recursion available, with the client's wish for recursion repeated.
  header.writeUInt16BE(0x8080 | (query.readUInt16BE(2) & 0x0100), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(isAsked ? 1 : 0, 6);
  return Buffer.concat([header, query.subarray(headerBytes, end), ...(isAsked ? [addressRecord(address)] : [])]);
}

/** Where the one question ends: labels up to the empty one, type, class. */
function questionEnd(query: Buffer): number | undefined {
  if (query.length < headerBytes || (query.readUInt16BE(2) & 0xf800) !== 0 || query.readUInt16BE(4) !== 1)
    return undefined;
  let at = headerBytes;
  for (;;) {
    const length = query[at];
    // A pointer has no place in a question.
    if (length === undefined || length > 63) return undefined;
    at += 1 + length;
    if (length === 0) break;
  }
  return at + 4 <= query.length ? at + 4 : undefined;
}

/** The name is a pointer to the question's; kept for a second. */
function addressRecord(address: string): Buffer {
  const fixed = [0xc0, headerBytes, 0, typeA, 0, classInternet, 0, 0, 0, 1, 0, 4];
  return Buffer.from([...fixed, ...address.split('.').map(Number)]);
}
