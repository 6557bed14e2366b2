import { createHmac } from 'node:crypto';

/** An access key. */
export interface Key {
  readonly id: string;
  readonly secret: string;
}

export const PATH = '/v2/index.php';

/** Letters from which on a value is a body, which is sent again and again. */
const BODY_LENGTH = 48;

let nonce = 0;
/** The last body, encoded: to encode the same one for each request only slows the generator. */
let [lastBody, lastEncoded] = ['', ''];

function encoded(value: string): string {
  if (value.length < BODY_LENGTH) return encodeURIComponent(value);
  if (value !== lastBody) [lastBody, lastEncoded] = [value, encodeURIComponent(value)];
  return lastEncoded;
}

/** The body of a signed request of API 2.0 (POST, HmacSHA256), as an SDK makes it each time. */
export function signedForm(
  key: Key,
  host: string,
  action: string,
  parameters: readonly (readonly [name: string, value: string])[],
): string {
  nonce = (nonce + 1) % 1_000_000;
  const pairs: (readonly [string, string])[] = [
    ['Action', action],
    ['Nonce', String(nonce)],
    ['SecretId', key.id],
    ['SignatureMethod', 'HmacSHA256'],
    ['Timestamp', String(Math.floor(Date.now() / 1000))],
    ...parameters,
  ];
  pairs.sort((a, b) => (a[0] < b[0] ? -1 : 1));
  let text = '';
  let form = '';
  for (const [name, value] of pairs) {
    text += `${text === '' ? '' : '&'}${name}=${value}`;
    form += `${name}=${encoded(value)}&`;
  }
  const hmac = createHmac('sha256', key.secret).update(`POST${host}${PATH}?${text}`);
  return `${form}Signature=${encodeURIComponent(hmac.digest('base64'))}`;
}
