import { describe, expect, test } from 'vitest';
import { PROXY_HEADER_MAX_BYTES, parseProxyHeader } from '../../src/net/proxy-header.ts';

const SIGNATURE = '0d0a0d0a000d0a515549540a';

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
}

const VALID: readonly [string, Buffer, object | undefined][] = [
  [
    'v1 TCP4',
    Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.2 56324 5672\r\n'),
    {
      remoteAddress: '192.0.2.1',
      remotePort: 56_324,
      localAddress: '198.51.100.2',
      localPort: 5_672,
    },
  ],
  [
    'v1 TCP6',
    Buffer.from('PROXY TCP6 2001:db8::1 ::1 1 65535\r\n'),
    { remoteAddress: '2001:db8::1', remotePort: 1, localAddress: '::1', localPort: 65_535 },
  ],
  ['v1 UNKNOWN', Buffer.from('PROXY UNKNOWN\r\n'), undefined],
  [
    'v2 TCP4',
    hex(`${SIGNATURE} 21 11 000c c0000201 c6336402 dc04 1628`),
    {
      remoteAddress: '192.0.2.1',
      remotePort: 56_324,
      localAddress: '198.51.100.2',
      localPort: 5_672,
    },
  ],
  [
    'v2 TCP6 with a TLV',
    hex(
      `${SIGNATURE} 21 21 0027 20010db8000000000000000000000001
       00000000000000000000000000000001 0001 1628 040000`,
    ),
    { remoteAddress: '2001:db8::1', remotePort: 1, localAddress: '::1', localPort: 5_672 },
  ],
  ['v2 LOCAL', hex(`${SIGNATURE} 20 00 0000`), undefined],
];

describe('parseProxyHeader', () => {
  test.each(VALID)('reads %s', (_name, bytes, addresses) => {
    const tail = Buffer.from('AMQP');
    const header = parseProxyHeader(Buffer.concat([bytes, tail]));
    expect(header).toEqual({
      kind: 'header',
      byteCount: bytes.length,
      ...(addresses === undefined ? {} : { addresses }),
    });
  });

  test.each(VALID)('waits for the rest of %s at every byte', (_name, bytes) => {
    for (let end = 0; end < bytes.length; end += 1) {
      expect(parseProxyHeader(bytes.subarray(0, end)).kind).toBe('incomplete');
    }
  });

  test('reads a v4-mapped source so that loopback is still seen', () => {
    const mapped = '00000000000000000000ffff7f000001';
    const header = parseProxyHeader(hex(`${SIGNATURE} 21 21 0024 ${mapped} ${mapped} 0001 0002`));
    expect(header).toMatchObject({ addresses: { remoteAddress: '::ffff:127.0.0.1' } });
  });

  test.each([
    ['other bytes', Buffer.from('AMQP\0\0\t\u0001')],
    ['a v1 address of the wrong family', Buffer.from('PROXY TCP4 ::1 ::1 1 2\r\n')],
    ['a v1 port out of range', Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n')],
    ['a v1 port with a sign', Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n')],
    ['too few v1 words', Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n')],
    ['an endless v1 line', Buffer.alloc(107, 'PROXY ')],
    ['v2 version 3', hex(`${SIGNATURE} 31 11 000c c0000201 c6336402 dc04 1628`)],
    ['v2 command 2', hex(`${SIGNATURE} 22 11 000c c0000201 c6336402 dc04 1628`)],
    ['a v2 UNIX socket', hex(`${SIGNATURE} 21 31 0000`)],
    ['a short v2 address block', hex(`${SIGNATURE} 21 11 0004 c0000201`)],
    ['a v2 header above the limit', hex(`${SIGNATURE} 21 11 ffff`)],
  ])('refuses %s', (_name, bytes) => {
    expect(parseProxyHeader(bytes).kind).toBe('invalid');
  });

  test('the limit itself passes', () => {
    const length = (PROXY_HEADER_MAX_BYTES - 16).toString(16).padStart(4, '0');
    const start = hex(`${SIGNATURE} 21 11 ${length} c0000201 c6336402 dc04 1628`);
    const bytes = Buffer.concat([start, Buffer.alloc(PROXY_HEADER_MAX_BYTES - start.length)]);
    expect(parseProxyHeader(bytes)).toMatchObject({ byteCount: PROXY_HEADER_MAX_BYTES });
  });
});
