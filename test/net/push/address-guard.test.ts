import { describe, expect, test } from 'vitest';
import { AddressGuard, type AddressRules } from '../../../src/net/push/address-guard.ts';

function guard(rules: Partial<AddressRules> = {}): AddressGuard {
  return new AddressGuard({
    allowedBlocks: [],
    allowedNames: [],
    ownAddresses: () => [],
    ...rules,
  });
}

describe('AddressGuard', () => {
  test.each([
    ['0.0.0.0', 'this network'],
    ['0.255.255.255', 'this network'],
    ['10.0.0.0', 'private'],
    ['10.255.255.255', 'private'],
    ['100.64.0.0', 'shared by carriers'],
    ['100.100.100.200', 'shared by carriers'],
    ['100.127.255.255', 'shared by carriers'],
    ['127.0.0.1', 'loopback'],
    ['127.255.255.255', 'loopback'],
    ['169.254.169.254', 'link-local'],
    ['172.16.0.0', 'private'],
    ['172.31.255.255', 'private'],
    ['192.0.0.192', 'protocol assignments'],
    ['192.0.2.1', 'documentation'],
    ['192.88.99.1', '6to4 relay'],
    ['192.168.0.0', 'private'],
    ['192.168.255.255', 'private'],
    ['198.18.0.1', 'benchmarks'],
    ['198.19.255.255', 'benchmarks'],
    ['224.0.0.1', 'multicast'],
    ['239.255.255.255', 'multicast'],
    ['240.0.0.1', 'reserved'],
    ['255.255.255.255', 'reserved'],
    ['168.63.129.16', 'platform service'],
    ['::', 'not global unicast'],
    ['::1', 'not global unicast'],
    ['::127.0.0.1', 'not global unicast'],
    ['::ffff:8.8.8.8', 'not global unicast'],
    ['64:ff9b::808:808', 'not global unicast'],
    ['64:ff9b::a00:1', 'not global unicast'],
    ['64:ff9b:1::a00:1', 'not global unicast'],
    ['100::1', 'not global unicast'],
    ['fc00::1', 'not global unicast'],
    ['fd00:ec2::254', 'not global unicast'],
    ['fe80::1', 'not global unicast'],
    ['fe80::1%eth0', 'not a plain address'],
    ['2606:4700:4700::1111%eth0', 'not a plain address'],
    ['fec0::1', 'not global unicast'],
    ['ff02::1', 'not global unicast'],
    ['2001::1', 'protocol assignments'],
    ['2001:db8::1', 'documentation'],
    ['2002:7f00:1::', '6to4'],
    ['3fff::1', 'documentation'],
    ['', 'not a plain address'],
    ['2130706433', 'not a plain address'],
    ['0x7f.1', 'not a plain address'],
    ['example.com', 'not a plain address'],
  ])('refuses %s', (address, reason) => {
    expect(guard().refusalOf(address)).toBe(reason);
  });

  test.each(['::ffff:127.0.0.1', '::ffff:7f00:1', '::ffff:169.254.169.254', '::ffff:a00:1'])(
    'refuses %s, which is an IPv4 address in disguise',
    (address) => {
      expect(guard().refusalOf(address)).toBeDefined();
    },
  );

  test.each([
    '1.1.1.1',
    '9.255.255.255',
    '11.0.0.0',
    '100.63.255.255',
    '100.128.0.0',
    '126.255.255.255',
    '128.0.0.0',
    '169.253.255.255',
    '172.15.255.255',
    '172.32.0.0',
    '192.167.255.255',
    '198.17.255.255',
    '198.20.0.0',
    '223.255.255.255',
    '2606:4700:4700::1111',
    '2a00::1',
    '2001:200::1',
  ])('lets %s pass', (address) => {
    expect(guard().refusalOf(address)).toBeUndefined();
  });

  test('lets blocks pass that the operator allows, and nothing beside them', () => {
    const allowing = guard({
      allowedBlocks: [
        { address: '10.1.0.0', prefixBits: 16 },
        { address: 'fd00:1::', prefixBits: 32 },
      ],
    });
    expect(allowing.refusalOf('10.1.255.255')).toBeUndefined();
    expect(allowing.refusalOf('10.2.0.0')).toBe('private');
    expect(allowing.refusalOf('fd00:1::5')).toBeUndefined();
    expect(allowing.refusalOf('fd00:2::5')).toBe('not global unicast');
  });

  test('refuses the addresses of this machine, also public ones, unless allowed', () => {
    const ownAddresses = () => ['8.8.4.4', '2606:4700::5', 'fe80::1%eth0'];
    expect(guard({ ownAddresses }).refusalOf('8.8.4.4')).toBe('this machine');
    expect(guard({ ownAddresses }).refusalOf('2606:4700:0::5')).toBe('this machine');
    expect(guard({ ownAddresses }).refusalOf('8.8.4.5')).toBeUndefined();
    const allowedBlocks = [{ address: '8.8.4.4', prefixBits: 32 }];
    expect(guard({ ownAddresses, allowedBlocks }).refusalOf('8.8.4.4')).toBeUndefined();
  });

  test('knows the names it was given', () => {
    const allowing = guard({ allowedNames: ['hooks.internal'] });
    expect(allowing.isAllowedName('hooks.internal')).toBe(true);
    expect(allowing.isAllowedName('evil.hooks.internal')).toBe(false);
  });
});
