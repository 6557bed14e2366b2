import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { parseForm, parseFormBytes } from '../../../protocols/cmq/form.ts';
import { hostForms, isSignedBy } from '../../../protocols/cmq/signature.ts';
import { isTc3SignedBy, parseTc3Authorization } from '../../../protocols/cmq/signature-v3.ts';

const SECRET = 'secretsecret';
const HOST = '127.0.0.1:8080';
const PATH = '/v2/index.php';

/** What stock SDKs sent for a SecretKey of `secretsecret`, captured from them. */
const CAPTURED: Readonly<Record<string, { method: string; path: string; text: string }>> = {
  'qcloudapi-sdk, POST, SHA-1, without the @ value': {
    method: 'POST',
    path: PATH,
    text:
      'Region=gz&SecretId=AKIDtest&Timestamp=1700000000&Nonce=7&RequestClient=SDK_NODEJS_0.2.1&Action=SendMessage' +
      '&queueName=q1&msgBody=%40a%20b%26c%3D%C3%BC&filter_tag=x&Signature=lIb7kld%2BW9uL24nJlRvYfaOgUMM%3D',
  },
  'qcloudapi-sdk, GET, SHA-256': {
    method: 'GET',
    path: PATH,
    text:
      'Region=gz&SecretId=AKIDtest&Timestamp=1700000000&Nonce=7&RequestClient=SDK_NODEJS_0.2.1&Action=SendMessage' +
      '&queueName=q1&msgBody=%40a%20b%26c%3D%C3%BC&filter_tag=x&SignatureMethod=HmacSHA256&Signature=SeDIB59tfzRXlmq0huGRpjDVfn1txFfsa7um1RUDAXo%3D',
  },
  'cmq-python-sdk, POST, SHA-256, without the @ value': {
    method: 'POST',
    path: PATH,
    text:
      'Action=SendMessage&queueName=q1&msgBody=%40a+b&RequestClient=SDK_Python_1.3' +
      '&SecretId=AKIDtest&Nonce=9223372036854775807&Timestamp=1700000000' +
      '&SignatureMethod=HmacSHA256&Signature=7gbKcNBqQ5GTzolUAez65B4X%2FT0fvngmezdKacB1ajc%3D',
  },
  'tencentcloud-sdk-nodejs, POST, SHA-256, with _ and the @ value': {
    method: 'POST',
    path: '/',
    text:
      'Version=2020-02-17&Action=DescribeCmqQueueDetail&QueueName=q1&Own_Key=%40x&Nonce=7' +
      '&Timestamp=1700000000&SecretId=AKIDtest&SignatureMethod=HmacSHA256' +
      '&Signature=w%2B9FEhXrvXu0%2BSFOtpvwK9VITr6XpcOuERBhNspCrAA%3D',
  },
};

describe('signatures of API 2.0', () => {
  test.each(Object.entries(CAPTURED))('of %s', (_, { method, path, text }) => {
    const target = { method, path, host: HOST };
    expect(isSignedBy(SECRET, target, parseForm(text)!)).toBe(true);
    // Each part counts.
    expect(isSignedBy('other', target, parseForm(text)!)).toBe(false);
    expect(isSignedBy(SECRET, { ...target, path: '/other' }, parseForm(text)!)).toBe(false);
    expect(isSignedBy(SECRET, { ...target, host: 'other' }, parseForm(text)!)).toBe(false);
    expect(isSignedBy(SECRET, target, parseForm(text.replace('q1', 'q2'))!)).toBe(false);
    expect(isSignedBy(SECRET, target, parseForm(`${text}&more=1`)!)).toBe(false);
    const other = method === 'GET' ? 'POST' : 'GET';
    expect(isSignedBy(SECRET, { ...target, method: other }, parseForm(text)!)).toBe(false);
  });

  const sign = (text: string, hash = 'sha1') =>
    encodeURIComponent(createHmac(hash, SECRET).update(text).digest('base64'));

  test('the host may be signed without its port', () => {
    const form = (host: string) =>
      parseForm(`b=2&a=1&Signature=${sign(`POST${host}${PATH}?a=1&b=2`)}`)!;
    const target = { method: 'POST', path: PATH, host: HOST };
    expect(isSignedBy(SECRET, target, form(HOST))).toBe(true);
    expect(isSignedBy(SECRET, target, form('127.0.0.1'))).toBe(true);
    expect(isSignedBy(SECRET, target, form('127.0.0.1:80'))).toBe(false);
    expect(hostForms('[::1]:80')).toEqual(['[::1]:80', '[::1]']);
    expect(hostForms('cmq.example.com')).toEqual(['cmq.example.com']);
    expect(hostForms('')).toEqual(['']);
  });

  test('any other SignatureMethod is SHA-1', () => {
    const target = { method: 'GET', path: '/', host: HOST };
    for (const method of ['HmacSHA1', 'MD5', 'hmacsha256', '']) {
      const signature = sign(`GET${HOST}/?SignatureMethod=${method}`);
      const form = parseForm(`SignatureMethod=${method}&Signature=${signature}`)!;
      expect(isSignedBy(SECRET, target, form)).toBe(true);
    }
    const signature = sign(`GET${HOST}/?SignatureMethod=HmacSHA256`);
    const form = parseForm(`SignatureMethod=HmacSHA256&Signature=${signature}`)!;
    expect(isSignedBy(SECRET, target, form)).toBe(false);
  });

  test('values are signed raw, and keys in the order of their bytes', () => {
    const text = `GET${HOST}/?A=%&Z=é&a=1 2&a.0=x&a.10=y&a.2=z`;
    const query = `a.2=z&a.10=y&a.0=x&a=1+2&Z=%C3%A9&A=%25&Signature=${sign(text)}`;
    const target = { method: 'GET', path: '/', host: HOST };
    expect(isSignedBy(SECRET, target, parseForm(query)!)).toBe(true);
  });

  test('keys beyond ASCII are ordered by their bytes too', () => {
    // UTF-16 has the astral letter first, UTF-8 last.
    const text = `GET${HOST}/?\uff5e=1&\u{1d51e}=2`;
    const query = `${encodeURIComponent('\u{1d51e}')}=2&${encodeURIComponent('\uff5e')}=1`;
    const form = parseForm(`${query}&Signature=${sign(text)}`)!;
    expect(isSignedBy(SECRET, { method: 'GET', path: '/', host: HOST }, form)).toBe(true);
  });

  test.each([
    ['in order', 'A=1&b=2&c=3', ''],
    ['out of order', 'c=3&A=1&b=2', ''],
    ['with gaps', '&A=1&&b=2&c=3&', ''],
    ['the signature in between', 'A=1&b=2&', '&c=3'],
    ['with escapes', 'A=%31&b=2&%63=3', ''],
    ['the signature first', '', '&A=1&b=2&c=3'],
  ])('of the bytes of a request, %s', (_, before, after) => {
    const target = { method: 'POST', path: PATH, host: HOST };
    for (const hash of ['sha1', 'sha256']) {
      const method = hash === 'sha256' ? 'SignatureMethod=HmacSHA256&' : '';
      for (const host of [HOST, '127.0.0.1']) {
        const signature = sign(`POST${host}${PATH}?A=1&${method}b=2&c=3`, hash);
        const text = `${before}&Signature=${signature}&${method}${after}`;
        const bytes = (from: string) => parseFormBytes(Buffer.from(from))!;
        expect(isSignedBy(SECRET, target, bytes(text))).toBe(true);
        expect(isSignedBy(SECRET, target, bytes(text.replace('A=', 'B=')))).toBe(false);
        expect(isSignedBy(SECRET, target, bytes(`${text}&d`))).toBe(false);
        expect(isSignedBy('other', target, bytes(text))).toBe(false);
        expect(isSignedBy('s'.repeat(65), target, bytes(text))).toBe(false);
      }
    }
  });

  test.each([
    ['a bare name', 'a&b=1', 'a=&b=1'],
    ['a name with _', 'a_b=1', 'a.b=1'],
    ['a name with _ as it is', 'a_b=1', 'a_b=1'],
    ['a value with @', 'a=@x&b=1', 'b=1'],
    ['beyond ASCII by escapes', 'a=%C3%A9', 'a=é'],
    ['beyond ASCII', 'a=é', 'a=é'],
    ['more than is hashed at once', `a=${'m'.repeat(65_536)}`, `a=${'m'.repeat(65_536)}`],
    ['nearly that', `a=${'m'.repeat(65_000)}`, `a=${'m'.repeat(65_000)}`],
  ])('of the bytes of a request, %s', (_, body, pairs) => {
    const target = { method: 'POST', path: PATH, host: HOST };
    const signature = sign(`POST${HOST}${PATH}?${pairs}`);
    const form = parseFormBytes(Buffer.from(`${body}&Signature=${signature}`))!;
    expect(isSignedBy(SECRET, target, form)).toBe(true);
    expect(isSignedBy(SECRET, { ...target, path: '/' }, form)).toBe(false);
  });

  test.each([1, 21, 22, 64, 65])('with a secret of %i letters', (length) => {
    const secret = 's'.repeat(length);
    const text = `GET${HOST}/?a=1`;
    const signature = createHmac('sha1', secret).update(text).digest('base64');
    const body = Buffer.from(`a=1&Signature=${encodeURIComponent(signature)}`);
    const target = { method: 'GET', path: '/', host: HOST };
    expect(isSignedBy(secret, target, parseFormBytes(body)!)).toBe(true);
  });

  test('an empty or short signature is none', () => {
    const target = { method: 'GET', path: '/', host: HOST };
    for (const text of ['a=1', 'a=1&Signature=', 'a=1&Signature=AAAA']) {
      expect(isSignedBy(SECRET, target, parseForm(text)!)).toBe(false);
    }
  });
});

describe('signatures of API 3.0', () => {
  /** Made by tencentcloud-sdk-nodejs, which signs the host without its port. */
  const POST =
    'TC3-HMAC-SHA256 Credential=AKIDtest/2023-11-14/127/tc3_request, ' +
    'SignedHeaders=content-type;host, ' +
    'Signature=9e86080bf7cfae1612cde342cf2abc016c65b34ab99f4c9281e822730f3a51ff';
  const GET = POST.replace(
    /[0-9a-f]{64}$/,
    '96f3a421bc6ae09042bb21a2d190ed101a14204105705a14ae3e28bd2e0a1120',
  );
  const post = {
    method: 'POST',
    path: '/',
    query: '',
    headers: { 'content-type': 'application/json', host: HOST },
    body: Buffer.from('{"QueueName":"q1","MsgContent":"ü"}'),
    timestamp: 1_700_000_000,
  };

  test('of a POST', () => {
    const authorization = parseTc3Authorization(POST)!;
    expect(authorization).toMatchObject({ secretId: 'AKIDtest', service: '127' });
    expect(isTc3SignedBy(SECRET, authorization, post)).toBe(true);
    expect(isTc3SignedBy('other', authorization, post)).toBe(false);
    const changes = [
      { body: Buffer.from('{}') },
      { path: '/v2/index.php' },
      { query: 'a=1' },
      { timestamp: 1_700_000_001 },
      // Another day than the credential's.
      { timestamp: 1_700_086_400 },
      { timestamp: Number.MAX_VALUE },
      { headers: { ...post.headers, host: 'other' } },
      { headers: { host: HOST } },
    ];
    for (const change of changes) {
      expect(isTc3SignedBy(SECRET, authorization, { ...post, ...change })).toBe(false);
    }
  });

  test('of a GET', () => {
    const request = {
      ...post,
      method: 'GET',
      query: 'QueueName=q1&MsgTag.0=a%20b',
      headers: { 'content-type': 'application/x-www-form-urlencoded', host: HOST },
      body: Buffer.alloc(0),
    };
    expect(isTc3SignedBy(SECRET, parseTc3Authorization(GET)!, request)).toBe(true);
  });

  test.each([
    '',
    'Basic dXNlcjpwYXNz',
    POST.replace('tc3_request', 'other'),
    POST.replace('2023-11-14', 'yesterday'),
    POST.replace('Signature=', 'Other='),
    POST.replace('SignedHeaders=', 'Headers='),
    POST.slice(0, -1),
    `TC3-HMAC-SHA256 ${'x'.repeat(3_000)}`,
  ])('%s is none', (text) => {
    expect(parseTc3Authorization(text)).toBeUndefined();
  });
});
