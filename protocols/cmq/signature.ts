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
import { hmacBase64 } from './signature-hmac.ts';

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
  const given = Buffer.from(form.get('Signature') ?? '');
  const hash = form.get('SignatureMethod') === 'HmacSHA256' ? 'sha256' : 'sha1';
  for (const pairs of pairsToSign(target.method, form)) {
    for (const host of hostForms(target.host)) {
      const text = `${target.method}${host}${target.path}?${pairs}`;
      const own = Buffer.from(hmacBase64(hash, secret, text));
      if (own.length === given.length && timingSafeEqual(own, given)) return true;
    }
  }
  return false;
}

/** The host as it is, and without its port when it has one. */
export function hostForms(host: string): readonly string[] {
  const bare = host.replace(/:\d*$/, '');
  return bare === host || bare === '' ? [host] : [host, bare];
}

/** Each form of the signed parameters that a client may have meant; nearly always one. */
function pairsToSign(method: string, form: Form): readonly string[] {
  const order = sortedOrder(form.names);
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

/** Indexes in the order of the names' bytes; names are nearly always ASCII. */
function sortedOrder(names: readonly string[]): readonly number[] {
  const order = names.map((_, index) => index);
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
    if (form.names[index] === 'Signature' || (skipsAt && value.startsWith('@'))) continue;
    if (text !== '') text += '&';
    text += `${names[index]!}=${value}`;
  }
  return text;
}
