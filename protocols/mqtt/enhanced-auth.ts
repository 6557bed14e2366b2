/**
 * Enhanced authentication of one connection (4.12): the exchange under way, and who came out.
 *
 *     SCRAM-SHA-256   data, challenge, proof, signature       two steps (scram.ts)
 *     OAUTHBEARER     n,,^Aauth=Bearer TOKEN^A^A (RFC 7628)   one step; the token alone will do too
 */
import { tokenIn } from '../../src/engine/access/token-login.ts';
import type { User } from '../../src/engine/access/user.ts';
import type { Broker } from '../../src/engine/broker.ts';
import type { PeerInfo } from '../../src/net/transport.ts';
import {
  type Login,
  type LoginDone,
  admit,
  splitUserName,
  unnamedVhost,
} from './authentication.ts';
import { MqttError, protocolError } from './mqtt-errors.ts';
import { SCRAM_METHOD, ScramExchange } from './scram.ts';
import type { MqttSettings } from './settings.ts';
import type { PropertyValues } from './spec/properties.ts';
import { REASON_BAD_AUTH_METHOD, REASON_BAD_USER_OR_PASSWORD } from './spec/reason-codes.ts';

/** The method's name in CONNECT and AUTH; there while tokens are taken at all. */
export const BEARER_METHOD = 'OAUTHBEARER';
const KEY_VALUE_END = '\u0001';
const BEARER_PREFIX = 'auth=Bearer ';

export class EnhancedAuth {
  readonly method: string;
  readonly #broker: Broker;
  readonly #unnamedVhost: string;
  readonly #peer: PeerInfo;
  readonly #secret: Buffer;
  #exchange: ScramExchange | undefined;

  /**
   * @param method  the one of CONNECT; it stays for the connection
   * @throws MqttError 0x8C
   */
  constructor(
    broker: Broker,
    settings: MqttSettings,
    peer: PeerInfo,
    secret: Buffer,
    method: string,
  ) {
    const takesTokens = broker.access.tokenVerifier !== undefined;
    if (method !== SCRAM_METHOD && !(method === BEARER_METHOD && takesTokens)) {
      throw new MqttError(REASON_BAD_AUTH_METHOD, `the method ${method} is not supported`);
    }
    this.method = method;
    this.#broker = broker;
    this.#unnamedVhost = unnamedVhost(settings, peer);
    this.#peer = peer;
    this.#secret = secret;
    this.#exchange = undefined;
  }

  /** One step proves it, with nothing to ask in between. */
  get isBearer(): boolean {
    return this.method === BEARER_METHOD;
  }

  /**
   * Checks a token; `done` runs now or in a later turn.
   *
   * @param username  of CONNECT: its vhost counts, as with a token for a password
   */
  checkToken(data: Buffer | undefined, username: string | undefined, done: LoginDone): void {
    const token = bearerToken(data);
    if (token === undefined) {
      done(REASON_BAD_USER_OR_PASSWORD);
      return;
    }
    const [vhost] = splitUserName(username ?? '', this.#unnamedVhost);
    this.#broker.access.authenticate('', token, (user) =>
      done(admit(this.#broker, this.#peer, user, vhost)),
    );
  }

  /** Replaces the rights of a login by those of a new token; `done` runs now or in a later turn. */
  renew(user: User, data: Buffer | undefined, done: (isRenewed: boolean) => void): void {
    const token = bearerToken(data);
    if (token === undefined) done(false);
    else this.#broker.access.renew(user, token, done);
  }

  /** Begins, or begins anew; returns the properties of AUTH 0x18. @throws MqttError 0x82 */
  begin(data: Buffer | undefined): PropertyValues {
    const nameOf = (name: string): string => splitUserName(name, this.#unnamedVhost)[1];
    this.#exchange = new ScramExchange(this.#broker, this.#secret, data, nameOf);
    return { authMethod: SCRAM_METHOD, authData: this.#exchange.challenge };
  }

  /**
   * The client's answer.
   *
   * @returns who it is, or the reason it may not be here; and the properties that end the exchange
   * @throws MqttError 0x82, 0x86
   */
  finish(packet: PropertyValues): { login: Login | number; properties: PropertyValues } {
    const exchange = this.#exchange;
    if (exchange === undefined) throw protocolError('AUTH without an exchange under way');
    this.expectMethod(packet);
    this.#exchange = undefined;
    const authData = exchange.finish(packet.authData);
    const [vhost, name] = splitUserName(exchange.username, this.#unnamedVhost);
    const login = admit(this.#broker, this.#peer, this.#broker.access.user(name), vhost);
    return { login, properties: { authMethod: SCRAM_METHOD, authData } };
  }

  /** The method must stay what CONNECT said. @throws MqttError 0x82 */
  expectMethod({ authMethod }: PropertyValues): void {
    if (authMethod !== this.method) throw protocolError('another authentication method');
  }
}

/** The token in authentication data; undefined when there is none. */
function bearerToken(data: Buffer | undefined): string | undefined {
  if (data === undefined) return undefined;
  const [head = '', ...pairs] = data.toString('latin1').split(KEY_VALUE_END);
  if (!head.startsWith('n,')) return tokenIn(data);
  const pair = pairs.find((one) => /^auth=bearer /i.test(one));
  return pair === undefined ? undefined : tokenIn(pair.slice(BEARER_PREFIX.length).trim());
}
