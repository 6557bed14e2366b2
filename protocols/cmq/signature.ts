/**
 * Signatures of API 2.0, which the older mode of API 3.0 shares:
 *
 *     METHOD host path ? k=v & k=v ...     Base64(HMAC-SHA1 or HMAC-SHA256, SecretKey)
 *
 * Keys are sorted by their bytes, values are raw, `Signature` is left out. Clients differ in what
 * they take for their own host and in details of the rest, so a signature is good when any of the
 * forms that stock clients use gives it:
 *
 *     host      as in the Host header; some leave the port out
 *     `_`       in keys becomes `.`; the SDK of API 3.0 leaves it
 *     `@...`    values that begin so are left out of a POST (files once), by some SDKs
 */
import { timingSafeEqual } from 'node:crypto';
import type { Form } from './form.ts';
import {
  type HmacHash,
  hmacBase64,
  HmacText,
  isShortSecret,
  TEXT_BYTES_MAX,
} from './signature-hmac.ts';

/** What a signature covers besides the parameters. */
export interface SignedTarget {
  readonly method: string;
  /** The Host header. */
  readonly host: string;
  /** Without the query. */
  readonly path: string;
}

/** Whether `Signature` of the form is what `secret` makes of the request. */
export function isSignedBy(secret: string, target: SignedTarget, form: Form): boolean {
  const { method, path } = target;
  const wanted = {
    given: Buffer.from(form.get('Signature') ?? ''),
    hash: form.get('SignatureMethod') === 'HmacSHA256' ? 'sha256' : 'sha1',
    secret,
    heads: hostForms(target.host).map((host) => `${method}${host}${path}?`),
  } as const;
  const order = sortedOrder(form);
  if (isSignedAsSent(wanted, form, order)) return true;
  for (const pairs of pairsToSign(method, form, order)) {
    for (const head of wanted.heads) {
      if (isSame(hmacBase64(wanted.hash, secret, head + pairs), wanted.given)) return true;
    }
  }
  return false;
}

interface Wanted {
  readonly given: Buffer;
  readonly hash: HmacHash;
  readonly secret: string;
  /** What is signed before the pairs, by the host as clients may have it. */
  readonly heads: readonly string[];
}

function isSame(text: string, given: Buffer): boolean {
  const own = Buffer.from(text);
  return own.length === given.length && timingSafeEqual(own, given);
}

/** The host as it is, and without its port when it has one. */
export function hostForms(host: string): readonly string[] {
  const bare = host.replace(/:\d*$/, '');
  return bare === host || bare === '' ? [host] : [host, bare];
}

/**
 * Whether it is signed in the first of all forms, which is found without making its text: pairs
 * are taken out of the request's bytes. False also when that cannot be done.
 */
function isSignedAsSent(wanted: Wanted, form: Form, order: readonly number[]): boolean {
  const { bytes, names } = form;
  if (bytes === undefined || !isShortSecret(wanted.secret)) return false;
  if (names.some((name) => name.includes('_'))) return false;
  for (const head of wanted.heads) {
    // Decoding makes no pair longer, but for the `=` that a bare name has not.
    const byteCount = Buffer.byteLength(head) + bytes.length + names.length;
    if (byteCount > TEXT_BYTES_MAX) return false;
    const text = new HmacText();
    text.add(head);
    addPairs(text, form, bytes, order);
    if (isSame(text.base64(wanted.hash, wanted.secret), wanted.given)) return true;
  }
  return false;
}

/** Pairs that stand in the request as they are signed, one after the other, are added as one. */
function addPairs(text: HmacText, form: Form, bytes: Buffer, order: readonly number[]): void {
  const { names, starts, ends } = form;
  for (let at = 0; at < order.length; at += 1) {
    let index = order[at]!;
    if (at > 0) text.add('&');
    const start = starts[index]!;
    if (start < 0) {
      text.add(`${names[index]!}=${form.values[index]!}`);
      continue;
    }
    while (order[at + 1] === index + 1 && starts[index + 1] === ends[index]! + 1) {
      index += 1;
      at += 1;
    }
    text.addBytes(bytes, start, ends[index]!);
  }
}

/** Each form of the signed parameters that a client may have meant; nearly always one. */
function pairsToSign(method: string, form: Form, order: readonly number[]): readonly string[] {
  const isPost = method === 'POST';
  const hasAt = isPost && form.values.some((value) => value.startsWith('@'));
  const hasUnderscore = form.names.some((name) => name.includes('_'));
  const dotted = hasUnderscore ? form.names.map((name) => name.replaceAll('_', '.')) : form.names;
  const forms = [joinPairs(form, dotted, order, false)];
  if (hasAt) forms.push(joinPairs(form, dotted, order, true));
  if (hasUnderscore) {
    forms.push(joinPairs(form, form.names, order, false));
    if (hasAt) forms.push(joinPairs(form, form.names, order, true));
  }
  return forms;
}

/** From here on the order of UTF-16 is not that of UTF-8. */
const UNORDERED = /[\ud800-\uffff]/;

/** Indexes of what is signed, in the order of the names' bytes; names are nearly always ASCII. */
function sortedOrder({ names, isAscii }: Form): readonly number[] {
  const order: number[] = [];
  let isSorted = isAscii;
  let last = '';
  for (let index = 0; index < names.length; index += 1) {
    const name = names[index]!;
    if (name === 'Signature') continue;
    order.push(index);
    if (isSorted) isSorted = last <= name;
    last = name;
  }
  if (isSorted) return order;
  if (names.some((name) => UNORDERED.test(name))) {
    const bytes = names.map((name) => Buffer.from(name));
    return order.sort((a, b) => Buffer.compare(bytes[a]!, bytes[b]!));
  }
  return order.sort((a, b) => (names[a]! < names[b]! ? -1 : 1));
}

/** The form's pairs by the names they are signed under. */
function joinPairs(
  form: Form,
  names: readonly string[],
  order: readonly number[],
  skipsAt: boolean,
): string {
  let text = '';
  for (const index of order) {
    const value = form.values[index]!;
    if (skipsAt && value.startsWith('@')) continue;
    if (text !== '') text += '&';
    text += `${names[index]!}=${value}`;
  }
  return text;
}
