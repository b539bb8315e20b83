import ipaddr from 'ipaddr.js';

/**
 * Who calls: the address the connection comes from, or, where that is a proxy we trust, the right-most address of `X-Forwarded-For`
 * that is none. What stands further left was written by the caller. Undefined when it is no address.
 */
export function clientAddress(
  { remote, forwardedFor }: { readonly remote: string | undefined; readonly forwardedFor: string | undefined },
  trustedProxies: readonly string[],
): string | undefined {
  const hops = [...(forwardedFor ?? '').split(',').map((hop) => hop.trim()), remote ?? ''];
  for (const hop of hops.toReversed()) {
    if (!ipaddr.isValid(hop)) return undefined;
    const address = ipaddr.process(hop);
    if (!trustedProxies.some((proxy) => isWithin(address, proxy))) return address.toString();
  }
  return undefined;
}

/** What a caller is counted under: an IPv4 address, or the /64 that an IPv6 caller has to itself. */
export function callerNetwork(address: string): string {
  const parsed = ipaddr.process(address);
  if (parsed.kind() === 'ipv4') return parsed.toString();
  const half = parsed.toByteArray().map((byte, index) => (index < 8 ? byte : 0));
  return `${ipaddr.fromByteArray(half).toString()}/64`;
}

function isWithin(address: ipaddr.IPv4 | ipaddr.IPv6, network: string): boolean {
  const [range, bits] = ipaddr.parseCIDR(network);
  return range.kind() === address.kind() && address.match(range, bits);
}
