/**
 * Signing of CMQ requests as its stock clients do it, written from the reference for the
 * conformance suites: version 1 (HMAC-SHA1 and HMAC-SHA256 over the sorted parameters) and version
 * 3 (`TC3-HMAC-SHA256` over a canonical request).
 */
import { createHash, createHmac } from 'node:crypto';

export interface CmqKey {
  readonly id: string;
  readonly secret: string;
}

export type CmqAlgorithm = 'HmacSHA1' | 'HmacSHA256';

/** What a version 1 signature covers besides the parameters. */
export interface SignedTarget {
  readonly method: string;
  /** As the client believes it: with or without its port. */
  readonly host: string;
  readonly path: string;
}

function byteOrder(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** The text a version 1 signature is made of: values raw, `_` in keys as `.`, keys by bytes. */
export function stringToSign(
  { method, host, path }: SignedTarget,
  parameters: ReadonlyMap<string, string>,
  skipsAt = false,
): string {
  const pairs = [...parameters.keys()]
    .filter((key) => key !== 'Signature' && !(skipsAt && parameters.get(key)?.startsWith('@')))
    .toSorted(byteOrder)
    .map((key) => `${key.replaceAll('_', '.')}=${parameters.get(key)}`);
  return `${method}${host}${path}?${pairs.join('&')}`;
}

/** Base64 of the HMAC of `text`. */
export function signature(text: string, secret: string, algorithm: CmqAlgorithm): string {
  const hash = algorithm === 'HmacSHA256' ? 'sha256' : 'sha1';
  return createHmac(hash, secret).update(text, 'utf8').digest('base64');
}

/** A request of API 3.0 before its headers. */
export interface TencentRequest {
  readonly method: string;
  readonly path: string;
  /** Encoded query without `?`; empty with POST. */
  readonly query: string;
  readonly contentType: string;
  readonly host: string;
  /** `tdmq`, or whatever label the client takes for it. */
  readonly service: string;
  readonly timestamp: number;
  readonly body: string;
}

const sha256 = (text: string): string => createHash('sha256').update(text, 'utf8').digest('hex');

function keyed(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text, 'utf8').digest();
}

/** The Authorization header of a `TC3-HMAC-SHA256` request. */
export function authorization(request: TencentRequest, { id, secret }: CmqKey): string {
  const { method, path, query, contentType, host, service, timestamp, body } = request;
  const date = new Date(timestamp * 1000).toISOString().slice(0, 10);
  const scope = `${date}/${service}/tc3_request`;
  const signed = 'content-type;host';
  const headers = `content-type:${contentType}\nhost:${host}\n`;
  const canonical = [method, path, query, headers, signed, sha256(body)].join('\n');
  const text = ['TC3-HMAC-SHA256', timestamp, scope, sha256(canonical)].join('\n');
  const chain = keyed(keyed(keyed(`TC3${secret}`, date), service), 'tc3_request');
  const hex = keyed(chain, text).toString('hex');
  return `TC3-HMAC-SHA256 Credential=${id}/${scope}, SignedHeaders=${signed}, Signature=${hex}`;
}
