/** The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677). */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';

export class ScramClient {
  /** What begins an exchange. */
  readonly first: Buffer;
  readonly #bare: string;
  readonly #nonce: string;
  readonly #password: string;
  #serverProof = '';

  constructor(name: string, password: string) {
    this.#nonce = randomBytes(12).toString('base64');
    this.#bare = `n=${name.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${this.#nonce}`;
    this.first = Buffer.from(`n,,${this.#bare}`);
    this.#password = password;
  }

  /** The answer to what the server asks. */
  answer(challenge: Buffer): Buffer {
    const text = challenge.toString();
    const match = /^r=([^,]*),s=([^,]*),i=(\d+)$/.exec(text);
    if (match === null) throw new Error(`no challenge: ${text}`);
    const [, nonce = '', salt = '', count = ''] = match;
    if (!nonce.startsWith(this.#nonce) || nonce === this.#nonce) throw new Error('wrong nonce');
    const key = Buffer.from(salt, 'base64');
    const salted = pbkdf2Sync(this.#password, key, Number(count), 32, 'sha256');
    const clientKey = hmac(salted, 'Client Key');
    const withoutProof = `c=biws,r=${nonce}`;
    const message = `${this.#bare},${text},${withoutProof}`;
    const signature = hmac(createHash('sha256').update(clientKey).digest(), message);
    const proof = Buffer.from(clientKey.map((byte, at) => byte ^ signature[at]!));
    this.#serverProof = `v=${hmac(hmac(salted, 'Server Key'), message).toString('base64')}`;
    return Buffer.from(`${withoutProof},p=${proof.toString('base64')}`);
  }

  /** Whether the server proved that it knows the password too. */
  isProof(data: Buffer | undefined): boolean {
    return this.#serverProof !== '' && data?.toString() === this.#serverProof;
  }
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
