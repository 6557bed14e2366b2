import { describe, expect, test } from 'vitest';
import { parseEndpoint } from '../../../src/net/push/endpoint.ts';

describe('parseEndpoint', () => {
  test('takes an address apart', () => {
    expect(parseEndpoint('HTTPS://User:p%40ss@Hooks.Example.COM:8443/a b?c=d#e', [])).toEqual({
      key: 'https://User:p%40ss@hooks.example.com:8443/a%20b?c=d',
      isTls: true,
      hostName: 'hooks.example.com',
      isLiteral: false,
      port: 8443,
      authority: 'hooks.example.com:8443',
      path: '/a%20b?c=d',
      credentials: 'User:p@ss',
    });
  });

  test('knows the ports of the schemes', () => {
    expect(parseEndpoint('http://a.example', [])).toMatchObject({
      port: 80,
      authority: 'a.example',
      path: '/',
      credentials: undefined,
    });
    expect(parseEndpoint('https://a.example', [])).toMatchObject({ port: 443 });
  });

  test.each([
    ['http://2130706433/', '127.0.0.1'],
    ['http://017700000001/', '127.0.0.1'],
    ['http://0x7f000001/', '127.0.0.1'],
    ['http://0x7f.1/', '127.0.0.1'],
    ['http://127.1/', '127.0.0.1'],
    ['http://0177.0.0.01/', '127.0.0.1'],
    ['http://127.0.0.1./', '127.0.0.1'],
    ['http://①②⑦.0.0.1/', '127.0.0.1'],
    ['http://127。0。0。1/', '127.0.0.1'],
    ['http://%31%32%37.0.0.1/', '127.0.0.1'],
    ['http://0/', '0.0.0.0'],
    ['http://[::1]/', '::1'],
    ['http://[0:0::0001]/', '::1'],
    ['http://[::ffff:127.0.0.1]/', '::ffff:7f00:1'],
    ['http://user@127.0.0.1/', '127.0.0.1'],
    ['http://good.example\\@127.0.0.1/', 'good.example'],
  ])('%s is %s', (text, hostName) => {
    expect(parseEndpoint(text, [])).toMatchObject({ hostName });
  });

  test('sees addresses as such, and a dot at the end as nothing', () => {
    expect(parseEndpoint('http://2130706433/', [])).toMatchObject({ isLiteral: true });
    expect(parseEndpoint('http://[::1]:80/', [])).toMatchObject({ isLiteral: true });
    expect(parseEndpoint('http://a.example./', [])).toMatchObject({
      isLiteral: false,
      hostName: 'a.example',
    });
  });

  test.each([
    ['', 'not a URL'],
    ['a.example/x', 'not a URL'],
    ['http://', 'not a URL'],
    ['http://[fe80::1%25eth0]/', 'not a URL'],
    ['http://1.2.3.4.5/', 'not a URL'],
    ['http://a.example:65536/', 'not a URL'],
    ['http://a.example:0/', 'port 0'],
    ['http://./', 'no host name'],
    ['ftp://a.example/', 'neither http nor https'],
    ['file:///etc/passwd', 'neither http nor https'],
    ['javascript:alert(1)', 'neither http nor https'],
  ])('%j: %s', (text, problem) => {
    expect(parseEndpoint(text, [])).toBe(problem);
  });

  test('keeps to the allowed ports', () => {
    expect(parseEndpoint('http://a.example/', [80, 443])).toMatchObject({ port: 80 });
    expect(parseEndpoint('http://a.example:22/', [80, 443])).toBe('port 22 is not allowed');
    expect(parseEndpoint('https://a.example/', [80])).toBe('port 443 is not allowed');
  });

  test('keeps credentials that are badly escaped', () => {
    expect(parseEndpoint('http://100%:x@a.example/', [])).toMatchObject({ credentials: '100%:x' });
  });
});
