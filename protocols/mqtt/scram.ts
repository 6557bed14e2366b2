/**
 * SCRAM-SHA-256 (RFC 5802, RFC 7677) as the server's side of MQTT 5 enhanced authentication (4.12).
 *
 *     CONNECT  n,,n=USER,r=NONCE             AUTH 0x18   r=NONCE+OURS,s=SALT,i=COUNT
 *     AUTH 0x18  c=biws,r=NONCE+OURS,p=PROOF     CONNACK or AUTH 0x00   v=SIGNATURE
 *
 * An unknown user, or one without keys (a password imported as a hash), goes through the same
 * exchange with a made-up salt and fails at its end, so that nobody learns who exists. Channel
 * binding is not offered.
 */
import { timingSafeEqual } from 'node:crypto';
import { hmac, scramKeysFromText, sha256, type ScramKeys } from '../../src/engine/access/scram.ts';
import type { Broker } from '../../src/engine/broker.ts';
import { MqttError } from './mqtt-errors.ts';
import { REASON_BAD_USER_OR_PASSWORD, REASON_PROTOCOL_ERROR } from './spec/reason-codes.ts';

/** The method's name in CONNECT and AUTH. */
export const SCRAM_METHOD = 'SCRAM-SHA-256';

const NONCE_BYTES = 18;
const ITERATIONS_SHOWN = 4_096;
const NO_BINDING = 'n,,';

/** One exchange. */
export class ScramExchange {
  /** As the client names itself: `vhost:user` or `user`. */
  readonly username: string;
  readonly #clientFirst: string;
  readonly #serverFirst: string;
  readonly #nonce: string;
  readonly #keys: ScramKeys | undefined;

  /**
   * @param secret   of this process: made-up salts follow from it
   * @param first    authentication data of CONNECT, or of the AUTH that begins anew
   * @param nameOf   the user a name stands for, without its vhost
   * @throws MqttError 0x82 when it is no client-first message
   */
  constructor(
    broker: Broker,
    secret: Buffer,
    first: Buffer | undefined,
    nameOf: (username: string) => string,
  ) {
    const text = first?.toString('utf8') ?? '';
    const match = /^(?:n|y),,(n=([^,]+),r=([!-+\--~]+))$/.exec(text);
    if (match === null) throw scramError('the SCRAM message is no client-first message');
    const [, bare = '', name = '', clientNonce = ''] = match;
    this.username = name.replaceAll('=2C', ',').replaceAll('=3D', '=');
    const user = broker.access.user(nameOf(this.username));
    const stored = user?.password?.scram;
    this.#keys = stored === undefined ? undefined : scramKeysFromText(stored);
    this.#nonce = clientNonce + Buffer.from(broker.random.bytes(NONCE_BYTES)).toString('base64');
    const salt = this.#keys?.salt ?? hmac(secret, name).subarray(0, 16);
    const iterations = this.#keys?.iterations ?? ITERATIONS_SHOWN;
    this.#clientFirst = bare;
    this.#serverFirst = `r=${this.#nonce},s=${salt.toString('base64')},i=${iterations}`;
  }

  /** What to send with AUTH 0x18. */
  get challenge(): Buffer {
    return Buffer.from(this.#serverFirst);
  }

  /**
   * Checks the client's proof; returns what proves us in turn.
   *
   * @throws MqttError 0x82 for no client-final message, 0x86 for a wrong proof
   */
  finish(final: Buffer | undefined): Buffer {
    const text = final?.toString('utf8') ?? '';
    const match = /^(c=([^,]+),r=([^,]+)),p=([A-Za-z0-9+/=]+)$/.exec(text);
    if (match === null) throw scramError('the SCRAM message is no client-final message');
    const [, withoutProof = '', binding = '', nonce = '', proofText = ''] = match;
    const bound = Buffer.from(binding, 'base64').toString();
    if ((bound !== NO_BINDING && bound !== 'y,,') || nonce !== this.#nonce) {
      throw scramError('the SCRAM messages do not belong together');
    }
    const message = `${this.#clientFirst},${this.#serverFirst},${withoutProof}`;
    const keys = this.#keys;
    if (keys === undefined || !isProof(keys, message, Buffer.from(proofText, 'base64'))) {
      throw new MqttError(REASON_BAD_USER_OR_PASSWORD, 'the proof is wrong');
    }
    return Buffer.from(`v=${hmac(keys.serverKey, message).toString('base64')}`);
  }
}

function isProof({ storedKey }: ScramKeys, message: string, proof: Buffer): boolean {
  const signature = hmac(storedKey, message);
  if (proof.length !== signature.length) return false;
  const clientKey = Buffer.from(proof.map((byte, at) => byte ^ signature[at]!));
  return timingSafeEqual(sha256(clientKey), storedKey);
}

function scramError(text: string): MqttError {
  return new MqttError(REASON_PROTOCOL_ERROR, text);
}
