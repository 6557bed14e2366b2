/**
 * From CONNECT to a login, and again with AUTH later (3.1, 4.12).
 *
 *     CONNECT, name and password ------------------- checked, now or in a later turn --> login
 *     CONNECT with a method --> AUTH 0x18 <-- AUTH 0x18 --> login; its proof goes into CONNACK
 *     AUTH 0x19 (running)   --> AUTH 0x18 <-- AUTH 0x18 --> AUTH 0x00
 *
 * With a token there is nothing to ask in between: CONNECT is answered with CONNACK, and AUTH 0x19
 * with AUTH 0x00 once the rights of the new token are those of the connection.
 */
import { isUtf8 } from 'node:buffer';
import type { Broker } from '../../src/engine/broker.ts';
import type { Outbound } from '../../src/net/outbound.ts';
import type { PeerInfo } from '../../src/net/transport.ts';
import { type Login, logIn } from './authentication.ts';
import type { ReasonPacket } from './client-packets.ts';
import type { ClientSession } from './client-session.ts';
import { deliveryLimits, PACKET_BYTES_UNLIMITED } from './connect-answer.ts';
import { type ConnectPacket, connackVersion, readConnect } from './connect-packet.ts';
import { EnhancedAuth } from './enhanced-auth.ts';
import { MqttError, protocolError, reasonCodeOf } from './mqtt-errors.ts';
import { writeAuth } from './packet-writer.ts';
import { redirectCode } from './redirect.ts';
import type { MqttSettings } from './settings.ts';
import { DISCONNECT, type ProtocolVersion } from './spec/packets.ts';
import type { PropertyValues } from './spec/properties.ts';
import {
  REASON_CONTINUE_AUTHENTICATION,
  REASON_NOT_AUTHORIZED,
  REASON_PAYLOAD_FORMAT_INVALID,
  REASON_REAUTHENTICATE,
  REASON_SUCCESS,
  isServerReason,
  reasonName,
} from './spec/reason-codes.ts';

/** What the exchange needs of its connection. */
export interface LoginHost {
  readonly broker: Broker;
  readonly settings: MqttSettings;
  readonly outbound: Outbound;
  readonly peer: PeerInfo;
  /** Of this process; made-up salts follow from it. */
  readonly authSecret: Buffer;
  /** The version is known: packets are of it from now on. */
  versionKnown(version: ProtocolVersion): void;
  /** The login is being checked: nothing more is to be read until it ends. */
  loginBegins(): void;
  loggedIn(connect: ConnectPacket, login: Login, proof: PropertyValues): void;
  /** A running connection has new rights, or was refused them. */
  renewed(isRenewed: boolean): void;
  refused(reasonCode: number, text: string): void;
}

export class LoginExchange {
  /** In which to answer; 0 before CONNECT, and for what is not MQTT at all. */
  version: number;
  /** Bytes of the largest packet the client takes [MQTT-3.1.2-24]. */
  packetBytesMax: number;
  readonly #host: LoginHost;
  #connect: ConnectPacket | undefined;
  #auth: EnhancedAuth | undefined;
  /** A new token is being checked. */
  #isRenewing: boolean;

  constructor(host: LoginHost) {
    this.version = 0;
    this.packetBytesMax = PACKET_BYTES_UNLIMITED;
    this.#host = host;
    this.#connect = undefined;
    this.#auth = undefined;
    this.#isRenewing = false;
  }

  /** True while an answer to AUTH 0x18 is due before CONNACK. */
  get awaitsAuth(): boolean {
    return this.#auth !== undefined;
  }

  onConnect(buf: Buffer, start: number, end: number): void {
    try {
      const connect = readConnect(buf, start, end);
      this.version = connect.version;
      this.packetBytesMax = deliveryLimits(connect, this.#host.settings).packetBytesMax;
      this.#host.versionKnown(connect.version);
      this.#checkWelcome(connect);
      if (connect.properties.authMethod === undefined) this.#checkPassword(connect);
      else this.#beginAuth(connect, connect.properties.authMethod);
    } catch (error) {
      if (this.version === 0) this.version = connackVersion(buf, start, end) ?? 0;
      this.#refuse(error);
    }
  }

  /** AUTH before CONNACK. */
  onAuth({ reasonCode, properties }: ReasonPacket): void {
    try {
      if (reasonCode !== REASON_CONTINUE_AUTHENTICATION) throw protocolError('AUTH out of order');
      const result = this.#auth!.finish(properties);
      const { login } = result;
      if (typeof login === 'number') throw new MqttError(login, reasonName(login));
      this.#host.loginBegins();
      this.#host.loggedIn(this.#connect!, login, result.properties);
    } catch (error) {
      this.#refuse(error);
    }
  }

  /** AUTH once logged in: the same user proves itself again. @throws MqttError 0x82, 0x87 */
  reauthenticate(client: ClientSession, { reasonCode, properties }: ReasonPacket): void {
    const auth = this.#auth;
    if (auth === undefined) throw protocolError('AUTH without a method in CONNECT');
    if (reasonCode === REASON_REAUTHENTICATE) {
      auth.expectMethod(properties);
      if (auth.isBearer) this.#renew(client, auth, properties.authData);
      else this.#challenge(auth.begin(properties.authData));
      return;
    }
    try {
      const result = auth.finish(properties);
      const { login } = result;
      if (typeof login === 'number' || login.user !== client.actor.user) {
        throw new MqttError(REASON_NOT_AUTHORIZED, 'another user');
      }
      const { packetBytesMax } = client.limits;
      writeAuth(this.#host.outbound, REASON_SUCCESS, result.properties, packetBytesMax);
    } catch (error) {
      // DISCONNECT has no code for a wrong password.
      if (isServerReason(reasonCodeOf(error), DISCONNECT)) throw error;
      throw new MqttError(REASON_NOT_AUTHORIZED, 'the proof is wrong');
    }
  }

  #renew(client: ClientSession, auth: EnhancedAuth, data: Buffer | undefined): void {
    if (this.#isRenewing) throw protocolError('AUTH before the last one was answered');
    this.#isRenewing = true;
    auth.renew(client.actor.user, data, (isRenewed) => {
      this.#isRenewing = false;
      this.#host.renewed(isRenewed);
    });
  }

  /** AUTH 0x00: the new rights are in force. */
  writeRenewed(client: ClientSession): void {
    const properties = { authMethod: this.#auth!.method };
    writeAuth(this.#host.outbound, REASON_SUCCESS, properties, client.limits.packetBytesMax);
  }

  /** @throws MqttError 0x99, 0x9C, 0x9D: whoever it is, it is refused */
  #checkWelcome({ will }: ConnectPacket): void {
    const { settings } = this.#host;
    const elsewhere = redirectCode(settings);
    if (elsewhere !== undefined) throw new MqttError(elsewhere, reasonName(elsewhere));
    if (!settings.checksPayloadFormat || will?.payloadFormat !== 1 || isUtf8(will.payload)) return;
    throw new MqttError(REASON_PAYLOAD_FORMAT_INVALID, 'the will payload is not UTF-8');
  }

  #checkPassword(connect: ConnectPacket): void {
    const host = this.#host;
    host.loginBegins();
    logIn(host.broker, host.settings, host.peer, connect, (result) => {
      if (typeof result === 'number') host.refused(result, reasonName(result));
      else host.loggedIn(connect, result, {});
    });
  }

  #beginAuth(connect: ConnectPacket, method: string): void {
    const { broker, settings, peer, authSecret } = this.#host;
    const auth = new EnhancedAuth(broker, settings, peer, authSecret, method);
    if (auth.isBearer) {
      this.#auth = auth;
      this.#checkToken(connect, auth);
      return;
    }
    // Kept for the answer; a password is not.
    this.#connect = connect;
    this.#challenge(auth.begin(connect.properties.authData));
    this.#auth = auth;
  }

  #checkToken(connect: ConnectPacket, auth: EnhancedAuth): void {
    const host = this.#host;
    host.loginBegins();
    auth.checkToken(connect.properties.authData, connect.username, (result) => {
      if (typeof result === 'number') host.refused(result, reasonName(result));
      else host.loggedIn(connect, result, { authMethod: auth.method });
    });
  }

  #challenge(properties: PropertyValues): void {
    const { outbound } = this.#host;
    writeAuth(outbound, REASON_CONTINUE_AUTHENTICATION, properties, this.packetBytesMax);
  }

  #refuse(error: unknown): void {
    this.#host.refused(reasonCodeOf(error), error instanceof Error ? error.message : '');
  }
}
