/** Whose a request is: its key, its signature and its time. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../../src/base/clock.ts';
import type { Broker } from '../../src/engine/broker.ts';
import { type Account, findKey } from './access-key-login.ts';
import { CmqFailure, parameterFailure } from './error-mapper.ts';
import type { Form } from './form.ts';
import type { CmqSettings } from './settings.ts';
import { isSignedBy } from './signature.ts';
import { isTc3SignedBy, parseTc3Authorization } from './signature-v3.ts';

/** An HTTP request that has come whole. */
export interface Incoming {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** As it was sent, without `?`. */
  readonly query: string;
  readonly headers: IncomingHttpHeaders;
  /** Empty with GET. Not kept. */
  readonly body: Buffer;
  readonly remoteAddress: string;
  readonly socket: Socket;
}

interface AuthenticatorDeps {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly settings: CmqSettings;
}

/** Checks keys and signatures. */
export class RequestAuthenticator {
  readonly #broker: Broker;
  readonly #clock: Clock;
  readonly #settings: CmqSettings;

  constructor(deps: AuthenticatorDeps) {
    this.#broker = deps.broker;
    this.#clock = deps.clock;
    this.#settings = deps.settings;
  }

  /**
   * A request with its signature among its parameters.
   * @throws CmqFailure PARAMETER_MISSING, PARAMETER_TYPE, or one of 4100 and of `findKey`
   */
  accountOfForm(incoming: Incoming, form: Form): Account {
    const secretId = form.get('SecretId');
    if (secretId === undefined) return this.#anonymous(incoming, 'SecretId');
    if (!form.has('Signature')) throw parameterFailure('PARAMETER_MISSING', 'Signature');
    const key = findKey(this.#broker, secretId);
    const { method, path, headers } = incoming;
    if (!isSignedBy(key.secret, { method, path, host: headers.host ?? '' }, form)) {
      throw new CmqFailure('SIGNATURE_WRONG');
    }
    this.#checkTime('Timestamp', form.get('Timestamp'));
    return key;
  }

  /**
   * A request with a TC3-HMAC-SHA256 signature in its headers.
   * @throws CmqFailure as `accountOfForm`
   */
  accountOfHeaders(incoming: Incoming): Account {
    const { headers } = incoming;
    if (headers.authorization === undefined) return this.#anonymous(incoming, 'Authorization');
    const authorization = parseTc3Authorization(headers.authorization);
    if (authorization === undefined) throw new CmqFailure('SIGNATURE_WRONG');
    const key = findKey(this.#broker, authorization.secretId);
    const timestamp = headers['x-tc-timestamp']?.toString();
    const seconds = secondsOf('X-TC-Timestamp', timestamp);
    if (seconds === undefined) throw parameterFailure('PARAMETER_MISSING', 'X-TC-Timestamp');
    if (!isTc3SignedBy(key.secret, authorization, { ...incoming, timestamp: seconds })) {
      throw new CmqFailure('SIGNATURE_WRONG');
    }
    this.#checkTime('X-TC-Timestamp', timestamp);
    return key;
  }

  /** Web pages could send such requests from any browser that reaches the port. */
  #anonymous(incoming: Incoming, missing: string): Account {
    const { anonymous } = this.#settings;
    if (anonymous === undefined) throw parameterFailure('PARAMETER_MISSING', missing);
    if (incoming.headers.origin !== undefined) throw new CmqFailure('ACCOUNT_ILLEGAL');
    return anonymous;
  }

  #checkTime(name: string, text: string | undefined): void {
    const { timestampWindowSeconds } = this.#settings;
    if (timestampWindowSeconds === 0) return;
    const seconds = secondsOf(name, text);
    if (seconds === undefined) throw parameterFailure('PARAMETER_MISSING', name);
    const driftSeconds = Math.abs(this.#clock.wallMs() / 1000 - seconds);
    if (driftSeconds > timestampWindowSeconds) throw new CmqFailure('SIGNATURE_EXPIRED');
  }
}

/** @throws CmqFailure PARAMETER_TYPE */
function secondsOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,12}$/.test(text)) throw parameterFailure('PARAMETER_TYPE', name);
  return Number(text);
}
