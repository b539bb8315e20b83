import ipaddr from 'ipaddr.js';

/** Where requests that leave may go; set by the administrator, the same for everything that leaves. */
export interface EgressPolicy {
  /** `external` (public addresses), `private`, `loopback`, a CIDR, or a host glob such as `*.corp.example`. */
  readonly allow: readonly string[];
  /** Our own PostgreSQL, Temporal, store and proxy: never reached, whatever `allow` says. */
  readonly denied: readonly EgressServer[];
  /** `any`, or the ports an address written by a user may name. */
  readonly ports: 'any' | readonly number[];
  /** Whether plain `http:` may leave too. */
  readonly isHttpAllowed: boolean;
}

/** A server of ours by address or host name; without a port, every port of it. */
export interface EgressServer {
  readonly host: string;
  readonly port?: number;
}

/** One resolved answer: the name that was asked for, and the address a socket would be opened to. */
export interface EgressAddress {
  readonly host: string;
  readonly ip: string;
  readonly port: number;
}

export const defaultEgressPolicy: EgressPolicy = {
  allow: ['external'],
  denied: [],
  ports: [443, 8443],
  isHttpAllowed: false,
};

/** The policy forbids the address, so nothing was sent. The message is a sentence for the user. */
export class EgressRefused extends Error {
  override readonly name = 'EgressRefused';
}

/** Where clouds answer with credentials; several are ordinary public addresses or inside a range one might allow. */
const metadataAddresses = new Set([
  '169.254.169.254',
  '169.254.170.2',
  '169.254.170.23',
  '168.63.129.16',
  '100.100.100.200',
  '192.0.0.192',
  'fd00:ec2::254',
  'fd20:ce::254',
]);

/** Whether a socket may be opened to `address`. What is no IP address, and what no rule names, is refused. */
export function isAllowed(address: EgressAddress, policy: EgressPolicy): boolean {
  if (!ipaddr.isValid(address.ip)) return false;
  const ip = ipaddr.process(address.ip);
  if (metadataAddresses.has(ip.toString())) return false;
  if (policy.denied.some((server) => isServer(server, address, ip))) return false;
  return policy.allow.some((rule) => isCovered(rule, address.host, ip));
}

/**
 * Why `url` may not be called, or undefined when its form is in order; the addresses behind it are judged by `isAllowed`
 * at every attempt. The sentence is meant for the user who wrote the URL.
 */
export function egressRefusal(url: URL, policy: EgressPolicy): string | undefined {
  const isPlain = url.protocol === 'http:';
  if (url.protocol !== 'https:' && !(isPlain && policy.isHttpAllowed)) {
    return `The address must start with https://${policy.isHttpAllowed ? ' or http://' : ''}, not "${url.protocol}//".`;
  }
  if (url.username !== '' || url.password !== '') return 'The address must not carry a user name or password.';
  if (url.hostname === '' || url.hostname.endsWith('.'))
    return 'The address needs a host name that does not end in a dot.';

  const port = urlPort(url);
  if (policy.ports !== 'any' && !policy.ports.includes(port)) {
    return `Port ${port} is not open to requests that leave; allowed are ${policy.ports.join(', ')}. The administrator can add it.`;
  }
  const host = bareHost(url);
  if (ipaddr.isValid(host) && !isAllowed({ host, ip: host, port }, policy)) {
    return `Requests may not leave to ${host}: it is not among the addresses the administrator allows.`;
  }
  return undefined;
}

/** The port a URL means, also when it leaves it out. */
export function urlPort(url: URL): number {
  if (url.port !== '') return Number(url.port);
  return url.protocol === 'https:' ? 443 : 80;
}

/** The host of a URL as name resolution takes it: an IPv6 literal without its brackets. */
export function bareHost(url: { readonly hostname: string }): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1');
}

type Ip = ipaddr.IPv4 | ipaddr.IPv6;

function isServer(server: EgressServer, address: EgressAddress, ip: Ip): boolean {
  if (server.port !== undefined && server.port !== address.port) return false;
  if (!ipaddr.isValid(server.host)) {
    const isLocal = server.host === 'localhost' && ip.range() === 'loopback';
    return isLocal || server.host.toLowerCase() === address.host.toLowerCase();
  }
  const own = ipaddr.process(server.host);
  // A server on one loopback address is often reached by the others too (127.0.0.2, ::1).
  return own.toString() === ip.toString() || (own.range() === 'loopback' && ip.range() === 'loopback');
}

function isCovered(rule: string, host: string, ip: Ip): boolean {
  switch (rule) {
    case 'external':
      return ip.range() === 'unicast';
    case 'private':
      return ip.range() === 'private' || ip.range() === 'uniqueLocal';
    case 'loopback':
      return ip.range() === 'loopback';
    default:
      return ipaddr.isValidCIDR(rule) ? isInside(ip, rule) : matchesGlob(rule.toLowerCase(), host.toLowerCase());
  }
}

function isInside(ip: Ip, cidr: string): boolean {
  const [network, bits] = ipaddr.parseCIDR(cidr);
  return network.kind() === ip.kind() && ip.match(network, bits);
}

/** `*` stands for any characters; a linear scan, since patterns and hosts are both written by people. */
function matchesGlob(glob: string, text: string): boolean {
  const [head = '', ...parts] = glob.split('*');
  if (parts.length === 0) return glob === text;
  if (!text.startsWith(head)) return false;
  const tail = parts.pop() ?? '';
  let at = head.length;
  for (const part of parts) {
    const found = text.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return text.length - tail.length >= at && text.endsWith(tail);
}
