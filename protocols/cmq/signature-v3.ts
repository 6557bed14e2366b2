/**
 * Signatures `TC3-HMAC-SHA256` of API 3.0:
 *
 *     canonical = METHOD path query headers signed-header-names sha256(body), line by line
 *     text      = TC3-HMAC-SHA256 timestamp date/service/tc3_request sha256(canonical)
 *     key       = HMAC chain of `TC3` + SecretKey over date, service, `tc3_request`
 *
 * The service is what the client's scope says: one SDK takes the first label of its endpoint,
 * "127" for 127.0.0.1. The host is tried with and without its port, which another leaves out.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { hostForms } from './signature.ts';

/** What the Authorization header says. */
export interface Tc3Authorization {
  readonly secretId: string;
  /** UTC, as in `2020-02-17`. */
  readonly date: string;
  readonly service: string;
  /** Lower case, separated by semicolons. */
  readonly signedHeaders: string;
  /** 64 hex digits. */
  readonly signature: string;
}

/** A request as it is signed. */
export interface Tc3Request {
  readonly method: string;
  readonly path: string;
  /** As it was sent, without `?`. */
  readonly query: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** X-TC-Timestamp: Unix seconds. */
  readonly timestamp: number;
}

export const TC3_ALGORITHM = 'TC3-HMAC-SHA256';

/** Longest header that is looked at, in characters. */
const AUTHORIZATION_MAX = 2_048;
const CREDENTIAL = /^([^/\s]+)\/(\d{4}-\d\d-\d\d)\/([^/\s]+)\/tc3_request$/;
const SIGNATURE = /^[0-9a-f]{64}$/;

/** Reads an Authorization header; undefined for what is none of this kind. */
export function parseTc3Authorization(header: string): Tc3Authorization | undefined {
  if (!header.startsWith(`${TC3_ALGORITHM} `) || header.length > AUTHORIZATION_MAX) {
    return undefined;
  }
  const fields = new Map(
    header
      .slice(TC3_ALGORITHM.length)
      .split(',')
      .map((field) => {
        const at = field.indexOf('=');
        return [field.slice(0, at).trim(), field.slice(at + 1).trim()] as const;
      }),
  );
  const credential = CREDENTIAL.exec(fields.get('Credential') ?? '');
  const signedHeaders = fields.get('SignedHeaders')?.toLowerCase();
  const signature = fields.get('Signature') ?? '';
  if (credential === null || signedHeaders === undefined || !SIGNATURE.test(signature)) {
    return undefined;
  }
  const [, secretId = '', date = '', service = ''] = credential;
  return { secretId, date, service, signedHeaders, signature };
}

/** Whether the authorization is what `secret` makes of the request. */
export function isTc3SignedBy(
  secret: string,
  authorization: Tc3Authorization,
  request: Tc3Request,
): boolean {
  const { date, service, signature } = authorization;
  if (dateOf(request.timestamp) !== date) return false;
  const given = Buffer.from(signature, 'hex');
  const key = hmac(hmac(hmac(`TC3${secret}`, date), service), 'tc3_request');
  const bodyHash = sha256(request.body);
  for (const headers of headerForms(authorization.signedHeaders, request.headers)) {
    const { method, path, query } = request;
    const signed = authorization.signedHeaders;
    const canonical = [method, path, query, headers, signed, bodyHash].join('\n');
    const scope = `${date}/${service}/tc3_request`;
    const text = [TC3_ALGORITHM, request.timestamp, scope, sha256(canonical)].join('\n');
    if (timingSafeEqual(hmac(key, text), given)) return true;
  }
  return false;
}

/** The canonical headers in each form that clients use. Both end with a line end. */
function headerForms(signedHeaders: string, headers: IncomingHttpHeaders): readonly string[] {
  const names = signedHeaders.split(';');
  const write = (host: string, isLower: boolean): string => {
    let text = '';
    for (const name of names) {
      const raw = name === 'host' ? host : headerText(headers, name);
      text += `${name}:${isLower ? raw.toLowerCase() : raw}\n`;
    }
    return text;
  };
  const forms = new Set<string>();
  for (const host of hostForms(headers.host ?? '')) {
    // The vendor's text asks for lower case, its SDK signs values as they are.
    forms.add(write(host, false));
    forms.add(write(host, true));
  }
  return [...forms];
}

function headerText(headers: IncomingHttpHeaders, name: string): string {
  const value = headers[name] ?? '';
  return (typeof value === 'string' ? value : value.join(',')).trim();
}

function dateOf(timestamp: number): string | undefined {
  const date = new Date(timestamp * 1000);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString().slice(0, 10);
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function sha256(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}
