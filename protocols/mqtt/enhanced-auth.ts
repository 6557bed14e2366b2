/** Enhanced authentication of one connection (4.12): the exchange under way, and who came out. */
import type { Broker } from '../../src/engine/broker.ts';
import type { PeerInfo } from '../../src/net/transport.ts';
import { type Login, admit, splitUserName } from './authentication.ts';
import { MqttError, protocolError } from './mqtt-errors.ts';
import { SCRAM_METHOD, ScramExchange } from './scram.ts';
import type { MqttSettings } from './settings.ts';
import type { PropertyValues } from './spec/properties.ts';
import { REASON_BAD_AUTH_METHOD } from './spec/reason-codes.ts';

export class EnhancedAuth {
  readonly #broker: Broker;
  readonly #settings: MqttSettings;
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
    if (method !== SCRAM_METHOD) {
      throw new MqttError(REASON_BAD_AUTH_METHOD, `the method ${method} is not supported`);
    }
    this.#broker = broker;
    this.#settings = settings;
    this.#peer = peer;
    this.#secret = secret;
    this.#exchange = undefined;
  }

  /** Begins, or begins anew; returns the properties of AUTH 0x18. @throws MqttError 0x82 */
  begin(data: Buffer | undefined): PropertyValues {
    const nameOf = (name: string): string => splitUserName(name, this.#settings.defaultVhost)[1];
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
    const [vhost, name] = splitUserName(exchange.username, this.#settings.defaultVhost);
    const login = admit(this.#broker, this.#peer, this.#broker.access.user(name), vhost);
    return { login, properties: { authMethod: SCRAM_METHOD, authData } };
  }

  /** The method must stay what CONNECT said. @throws MqttError 0x82 */
  expectMethod({ authMethod }: PropertyValues): void {
    if (authMethod !== SCRAM_METHOD) throw protocolError('another authentication method');
  }
}
