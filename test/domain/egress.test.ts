import { describe, expect, test } from 'vitest';
import { defaultEgressPolicy, egressRefusal, isAllowed, type EgressPolicy } from '../../domain/egress.ts';

function at(ip: string, host = ip, port = 443) {
  return { host, ip, port };
}

function policy(allow: string[], denied: EgressPolicy['denied'] = []): EgressPolicy {
  return { ...defaultEgressPolicy, allow, denied };
}

describe('without a word of the administrator', () => {
  test.for(['1.1.1.1', '93.184.216.34', '2606:4700::1111', '::ffff:8.8.8.8'])(
    'the public address %s is reached',
    (ip) => {
      expect(isAllowed(at(ip), defaultEgressPolicy)).toBe(true);
    },
  );

  test.for([
    ['127.0.0.1', 'loopback'],
    ['127.255.0.9', 'loopback'],
    ['::1', 'loopback'],
    ['0.0.0.0', 'unspecified'],
    ['::', 'unspecified'],
    ['10.0.0.1', 'private'],
    ['172.16.5.4', 'private'],
    ['192.168.1.1', 'private'],
    ['100.64.0.1', 'carrier-grade NAT'],
    ['169.254.1.1', 'link-local'],
    ['fe80::1', 'link-local'],
    ['fd12::1', 'unique local'],
    ['::ffff:127.0.0.1', 'loopback in an IPv6 coat'],
    ['::ffff:169.254.169.254', 'metadata in an IPv6 coat'],
    ['64:ff9b::a00:1', 'NAT64'],
    ['2002:a00:1::', '6to4'],
    ['2001::1', 'Teredo'],
    ['224.0.0.1', 'multicast'],
    ['ff02::1', 'multicast'],
    ['255.255.255.255', 'broadcast'],
    ['240.0.0.1', 'reserved'],
    ['192.0.2.1', 'documentation'],
    ['168.63.129.16', 'Azure metadata, a public address'],
    ['100.100.100.200', 'Alibaba Cloud metadata'],
    ['example.com', 'no address at all'],
    ['', 'nothing'],
  ])('%s is refused: %s', ([ip = '']) => {
    expect(isAllowed(at(ip), defaultEgressPolicy)).toBe(false);
  });
});

describe('what the administrator allows', () => {
  test.for([
    ['loopback', '127.0.0.1', true],
    ['loopback', '::1', true],
    ['loopback', '10.0.0.1', false],
    ['loopback', '1.1.1.1', false],
    ['private', '10.1.2.3', true],
    ['private', 'fd12::1', true],
    ['private', '127.0.0.1', false],
    ['10.8.0.0/16', '10.8.200.1', true],
    ['10.8.0.0/16', '10.9.0.1', false],
    ['10.8.0.0/16', '::ffff:10.8.0.1', true],
    ['fd00:1::/32', 'fd00:1::5', true],
    ['fd00:1::/32', '10.8.0.1', false],
  ] as const)('%s and %s: %s', ([rule, ip, expected]) => {
    expect(isAllowed(at(ip), policy([rule]))).toBe(expected);
  });

  test.for([
    ['*.corp.example', 'git.corp.example', true],
    ['*.corp.example', 'corp.example', false],
    ['*.corp.example', 'git.corp.example.evil.test', false],
    ['git.corp.example', 'GIT.corp.example', true],
    ['git-*.corp.*', 'git-7.corp.example', true],
    ['git-*.corp.*', 'hg-7.corp.example', false],
    ['a*a', 'a', false],
  ] as const)('the host glob %s over %s: %s', ([glob, host, expected]) => {
    expect(isAllowed(at('10.0.0.7', host), policy([glob]))).toBe(expected);
  });

  test('no rule lifts the metadata addresses', () => {
    const everything = policy(['external', 'private', 'loopback', '0.0.0.0/0', '::/0', '*']);
    for (const ip of [
      '169.254.169.254',
      '168.63.129.16',
      '100.100.100.200',
      'fd00:ec2::254',
      '::ffff:169.254.169.254',
    ]) {
      expect(isAllowed(at(ip), everything)).toBe(false);
    }
  });

  test('our own servers stay closed on every loopback address, other ports stay open', () => {
    const own = policy(
      ['loopback'],
      [
        { host: '127.0.0.1', port: 5432 },
        { host: 'localhost', port: 7233 },
      ],
    );
    expect(isAllowed(at('127.0.0.1', 'localhost', 5432), own)).toBe(false);
    expect(isAllowed(at('127.0.0.2', '127.0.0.2', 5432), own)).toBe(false);
    expect(isAllowed(at('::1', '::1', 5432), own)).toBe(false);
    expect(isAllowed(at('127.0.0.1', '127.0.0.1', 7233), own)).toBe(false);
    expect(isAllowed(at('127.0.0.1', '127.0.0.1', 8080), own)).toBe(true);
  });

  test('a server of ours is closed by its name too', () => {
    const own = policy(['10.0.0.0/8'], [{ host: 'postgres.internal' }]);
    expect(isAllowed(at('10.0.0.5', 'Postgres.internal', 80), own)).toBe(false);
    expect(isAllowed(at('10.0.0.5', 'web.internal', 80), own)).toBe(true);
  });
});

describe('the form of an address', () => {
  const open: EgressPolicy = { allow: ['external', 'loopback'], denied: [], ports: 'any', isHttpAllowed: true };

  test.for(['https://hooks.example.com/x', 'https://hooks.example.com:8443/x', 'https://1.1.1.1/'])(
    '%s is in order',
    (url) => {
      expect(egressRefusal(new URL(url), defaultEgressPolicy)).toBeUndefined();
    },
  );

  test.for([
    ['http://hooks.example.com/', 'The address must start with https://, not "http://".'],
    ['ftp://hooks.example.com/', 'The address must start with https://, not "ftp://".'],
    ['https://user:secret@hooks.example.com/', 'The address must not carry a user name or password.'],
    ['https://hooks.example.com./', 'The address needs a host name that does not end in a dot.'],
    [
      'https://hooks.example.com:22/',
      'Port 22 is not open to requests that leave; allowed are 443, 8443. The administrator can add it.',
    ],
    [
      'https://2130706433/',
      'Requests may not leave to 127.0.0.1: it is not among the addresses the administrator allows.',
    ],
    ['https://0x7f.1/', 'Requests may not leave to 127.0.0.1: it is not among the addresses the administrator allows.'],
    ['https://[::1]/', 'Requests may not leave to ::1: it is not among the addresses the administrator allows.'],
  ])('%s is refused with "%s"', ([url = '', sentence]) => {
    expect(egressRefusal(new URL(url), defaultEgressPolicy)).toBe(sentence);
  });

  test('plain http, any port and loopback pass where the administrator opened them', () => {
    expect(egressRefusal(new URL('http://127.0.0.1:39211/hook'), open)).toBeUndefined();
    expect(egressRefusal(new URL('http://10.0.0.1:39211/hook'), open)).toMatch('Requests may not leave to 10.0.0.1');
  });
});
