import { describe, expect, it } from 'vitest';
import { callerNetwork, clientAddress } from '../../domain/client-address.ts';

describe('the address of a caller', () => {
  const proxies = ['10.0.0.0/8', 'fd00::/8'];

  it.each([
    ['is the connection itself without a proxy', '203.0.113.7', '198.51.100.1', '203.0.113.7'],
    ['is what the nearest trusted proxy saw', '10.0.0.1', '198.51.100.1', '198.51.100.1'],
    [
      'is the last hop outside our proxies, whatever the caller wrote before it',
      '10.0.0.1',
      '192.0.2.1, 198.51.100.1, 10.2.3.4',
      '198.51.100.1',
    ],
    ['is told from IPv4 written as IPv6', '::ffff:10.0.0.1', '198.51.100.1', '198.51.100.1'],
    ['may be IPv6', 'fd00::1', '2001:db8::1', '2001:db8::1'],
  ])('%s', (_what, remote, forwardedFor, expected) => {
    expect(clientAddress({ remote, forwardedFor }, proxies)).toBe(expected);
  });

  it.each([
    ['a hop is no address', '10.0.0.1', 'unknown'],
    ['every hop is a proxy of ours', '10.0.0.1', '10.0.0.2'],
    ['there is none', undefined, undefined],
  ])('is not known when %s', (_what, remote, forwardedFor) => {
    expect(clientAddress({ remote, forwardedFor }, proxies)).toBeUndefined();
  });
});

describe('what a caller is counted under', () => {
  it.each([
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ])('of %s is %s', (address, network) => {
    expect(callerNetwork(address)).toBe(network);
  });
});
