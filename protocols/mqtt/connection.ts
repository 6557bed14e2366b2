/**
 * One MQTT connection: from bytes to its session, and its end.
 *
 *     WAITING --CONNECT--> CHECKING --CONNACK 0--> RUNNING --DISCONNECT, error, take-over--> ENDED
 *        |            AUTH <--+--> AUTH              |                                        ^
 *        +------- timeout, refusal, anything wrong, a dropped socket -------------------------+
 *
 * 1. Until the login is checked and the session is on disk the connection is not read; packets the
 *    client sent meanwhile wait in the parser, bounded by one chunk.
 * 2. Whatever ends it, `#finish` runs once: consumers cancelled, deliveries given back, the will
 *    left.
 * 3. What a handler throws ends the connection: with DISCONNECT and a reason code in 5.0, without a
 *    word in 3.x.
 * 4. No timer of its own: `tick` is called by the acceptor's.
 */
import type { MessageArena } from '../../src/base/arena.ts';
import type { Clock } from '../../src/base/clock.ts';
import { BrokerError } from '../../src/base/errors.ts';
import { UNREAD_REPLY_BYTES_MAX } from '../../src/base/limits.ts';
import type { ProtocolLogger } from '../../src/base/logger.ts';
import type { Broker } from '../../src/engine/broker.ts';
import type { FlushSet } from '../../src/net/flush-set.ts';
import { HOLD_LOGIN, HOLD_REPLIES, InputGate } from '../../src/net/input-gate.ts';
import { Outbound } from '../../src/net/outbound.ts';
import type { PeerInfo, Transport, TransportHandler } from '../../src/net/transport.ts';
import type { Login } from './authentication.ts';
import { AckFields, readAck, readAuth, readDisconnect, readEmpty } from './client-packets.ts';
import type { ClientRegistry } from './client-registry.ts';
import { ClientSession, type ClientSessionHost } from './client-session.ts';
import { cappedExpiry } from './connect-answer.ts';
import type { ConnectPacket } from './connect-packet.ts';
import { LoginExchange, type LoginHost } from './login-exchange.ts';
import type { MessageView } from './message-view.ts';
import { MqttError, protocolError, reasonCodeOf } from './mqtt-errors.ts';
import { type PacketHandler, PacketParser } from './packet-parser.ts';
import { writeAck, writeConnack, writeDisconnect, writePingresp } from './packet-writer.ts';
import type { PublishFields } from './publish-packet.ts';
import { explanation, shortReason, stopCode } from './redirect.ts';
import { REPLY_DELIVERY, ReplyLedger } from './reply-ledger.ts';
import type { MqttSettings } from './settings.ts';
import {
  AUTH,
  CONNECT,
  DISCONNECT,
  PINGREQ,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  PUBREC,
  PUBREL,
  SUBSCRIBE,
  UNSUBSCRIBE,
  type ProtocolVersion,
  VARINT_MAX,
  VERSION_5,
  packetName,
} from './spec/packets.ts';
import type { PropertyValues } from './spec/properties.ts';
import {
  REASON_ADMINISTRATIVE_ACTION,
  REASON_FAILURE_MIN,
  REASON_KEEP_ALIVE_TIMEOUT,
  REASON_MAXIMUM_CONNECT_TIME,
  REASON_NOT_AUTHORIZED,
  REASON_PACKET_TOO_LARGE,
  REASON_SESSION_TAKEN_OVER,
  REASON_SUCCESS,
  isServerReason,
  reasonName,
} from './spec/reason-codes.ts';
import type { MqttCounters, SysTopics } from './sys-topics.ts';
import type { TopicNames } from './topic-name.ts';

/** What all connections of an acceptor share. */
export interface ConnectionDeps {
  readonly broker: Broker;
  readonly flushSet: FlushSet;
  readonly settings: MqttSettings;
  readonly logger: ProtocolLogger;
  readonly clock: Clock;
  readonly arena: MessageArena;
  readonly names: TopicNames;
  readonly fields: PublishFields;
  readonly view: MessageView;
  readonly registry: ClientRegistry;
  readonly sys: SysTopics;
  readonly counters: MqttCounters;
  /** Of this process; made-up salts follow from it. */
  readonly authSecret: Buffer;
  onEnded(connection: MqttConnection): void;
}

const WAITING = 0;
const CHECKING = 1;
const RUNNING = 2;
const ENDED = 3;

const NO_ALARMS: ReadonlySet<string> = new Set();
/** Acknowledgements are read one at a time. */
const ack = new AckFields();

export class MqttConnection
  implements TransportHandler, PacketHandler, ClientSessionHost, LoginHost
{
  readonly id: number;
  readonly broker: Broker;
  readonly settings: MqttSettings;
  readonly arena: MessageArena;
  readonly names: TopicNames;
  readonly fields: PublishFields;
  readonly view: MessageView;
  readonly registry: ClientRegistry;
  readonly sys: SysTopics;
  readonly counters: MqttCounters;
  readonly outbound: Outbound;
  readonly replies: ReplyLedger;
  chunkAtMs: number;
  readonly #deps: ConnectionDeps;
  readonly #transport: Transport;
  readonly #parser: PacketParser;
  readonly #gate: InputGate;
  readonly #login: LoginExchange;
  #stage: number;
  #client: ClientSession | undefined;
  #deadlineAtMs: number;
  #didRead: boolean;
  #lastReadAtMs: number;

  constructor(transport: Transport, deps: ConnectionDeps) {
    const { broker, settings, clock } = deps;
    this.id = broker.nextConnectionId();
    this.broker = broker;
    this.settings = settings;
    this.arena = deps.arena;
    this.names = deps.names;
    this.fields = deps.fields;
    this.view = deps.view;
    this.registry = deps.registry;
    this.sys = deps.sys;
    this.counters = deps.counters;
    this.outbound = new Outbound(transport, deps.flushSet);
    this.replies = new ReplyLedger(broker, this);
    this.chunkAtMs = 0;
    this.#deps = deps;
    this.#transport = transport;
    this.#parser = new PacketParser(this);
    this.#gate = new InputGate(this, transport, this.#parser);
    this.#login = new LoginExchange(this);
    this.#stage = WAITING;
    this.#client = undefined;
    this.#lastReadAtMs = clock.monotonicMs();
    this.#deadlineAtMs = this.#lastReadAtMs + settings.connectTimeoutMs;
    this.#didRead = false;
  }

  get peer(): PeerInfo {
    return this.#transport.peer;
  }

  /** A 5.0 client is told of alarms, publish by publish (0x97); others are not read meanwhile. */
  get alarms(): ReadonlySet<string> {
    return this.#login.version === VERSION_5 ? NO_ALARMS : this.broker.alarms;
  }

  get isOverloaded(): boolean {
    return this.broker.isOverloaded;
  }

  get authSecret(): Buffer {
    return this.#deps.authSecret;
  }

  // Transport

  onChunk(chunk: Buffer): void {
    this.chunkAtMs = this.#deps.clock.wallMs();
    this.counters.bytesReceived += chunk.length;
    try {
      this.#parser.push(chunk);
    } catch (error) {
      this.#fail(error);
    }
  }

  onDrain(): void {
    if (this.#stage !== RUNNING) return;
    this.#guard(() => this.#gate.release(HOLD_REPLIES));
    this.#client?.subscribing.wake();
  }

  onClosed(error: Error | undefined): void {
    if (this.#stage === ENDED) return;
    if (this.#stage === RUNNING) {
      const reason = error === undefined ? 'closed without DISCONNECT' : error.message;
      this.#deps.logger.info({ connection: this.id, reason }, 'mqtt connection lost');
    }
    this.#finish(true);
  }

  // Acceptor

  /** Once per tick of the acceptor: deadlines and keep-alive. */
  tick(nowMs: number): void {
    if (nowMs >= this.#deadlineAtMs) {
      this.drop('connect timeout');
      return;
    }
    const client = this.#client;
    if (this.#stage !== RUNNING || client === undefined) return;
    const { expiresAtMs, isDeleted } = client.actor.user;
    if (isDeleted) this.lost('the user was deleted');
    else if (expiresAtMs <= this.#deps.clock.wallMs())
      this.#close(REASON_MAXIMUM_CONNECT_TIME, 'the token has expired');
    if (this.#stage !== RUNNING) return;
    client.subscribing.tick();
    if (client.keepAliveMs === 0) return;
    if (this.#didRead || this.#gate.excusesSilence) {
      this.#didRead = false;
      this.#lastReadAtMs = nowMs;
    } else if (nowMs - this.#lastReadAtMs >= client.keepAliveMs) {
      this.#close(REASON_KEEP_ALIVE_TIMEOUT, 'keep alive timeout');
    }
  }

  /** Alarms or overload changed. */
  onPressureChange(): void {
    if (this.#stage === RUNNING) this.#gate.update();
  }

  /** The process ends. */
  shutdown(text: string): void {
    if (this.#stage === RUNNING) this.#close(stopCode(this.settings), text);
    else this.drop('shutdown');
  }

  // Registry

  takenOver(): void {
    this.#close(REASON_SESSION_TAKEN_OVER, 'another connection has this client id');
  }

  lost(text: string): void {
    this.#close(REASON_ADMINISTRATIVE_ACTION, text);
  }

  // Packets

  onPacket(type: number, flags: number, buf: Buffer, start: number, end: number): void {
    if (this.#stage !== RUNNING) {
      this.#onFirstPacket(type, buf, start, end);
      return;
    }
    this.#didRead = true;
    const client = this.#client!;
    switch (type) {
      case PUBLISH:
        this.#gate.becamePublisher();
        client.inbound.onPublish(flags, buf, start, end);
        break;
      case PUBACK:
        readAck(this.#login.version, type, buf, start, end, ack);
        client.deliveries.onPuback(ack.packetId, ack.reasonCode);
        break;
      case PUBREC:
        readAck(this.#login.version, type, buf, start, end, ack);
        client.deliveries.onPubrec(ack.packetId, ack.reasonCode);
        break;
      case PUBREL:
        readAck(this.#login.version, type, buf, start, end, ack);
        client.inbound.onPubrel(ack.packetId);
        break;
      case PUBCOMP:
        readAck(this.#login.version, type, buf, start, end, ack);
        client.deliveries.onPubcomp(ack.packetId);
        break;
      default:
        this.#onControlPacket(type, client, buf, start, end);
    }
    if (this.outbound.isFull) this.#boundReplies();
  }

  // ReplySink

  onReply(type: number, packetId: number, reasonCode: number): void {
    const client = this.#client;
    if (client === undefined) return;
    if (type === REPLY_DELIVERY) {
      client.deliveries.onCommitted(packetId);
      return;
    }
    const isTold = reasonCode >= REASON_FAILURE_MIN && client.wantsProblemInfo;
    const properties = isTold ? { reasonString: reasonName(reasonCode) } : undefined;
    const { packetBytesMax } = client.limits;
    this.counters.bytesSent += writeAck(
      this.outbound,
      this.#login.version,
      type,
      packetId,
      reasonCode,
      properties,
      packetBytesMax,
    );
    client.inbound.onReplied(type, packetId, reasonCode);
  }

  wakeConsumers(): void {
    this.#client?.subscribing.wake();
  }

  /** Closes the socket without a word. */
  drop(reason: string): void {
    if (this.#stage === ENDED) return;
    this.#deps.logger.info({ connection: this.id, reason }, 'mqtt connection dropped');
    this.#transport.destroy();
    this.#finish(true);
  }

  #onControlPacket(
    type: number,
    client: ClientSession,
    buf: Buffer,
    start: number,
    end: number,
  ): void {
    switch (type) {
      case PINGREQ:
        readEmpty(type, start, end);
        this.counters.bytesSent += writePingresp(this.outbound);
        break;
      case SUBSCRIBE:
        client.onSubscribe(buf, start, end);
        break;
      case UNSUBSCRIBE:
        client.onUnsubscribe(buf, start, end);
        break;
      case DISCONNECT:
        this.#onDisconnect(client, buf, start, end);
        break;
      case AUTH:
        this.#login.reauthenticate(client, readAuth(buf, start, end));
        break;
      default:
        throw protocolError(`${packetName(type)} from a client`);
    }
  }

  #onDisconnect(client: ClientSession, buf: Buffer, start: number, end: number): void {
    const { reasonCode, properties } = readDisconnect(this.#login.version, buf, start, end);
    const seconds = properties.sessionExpirySeconds;
    if (seconds !== undefined) {
      const { session, actor } = client;
      if (session.expiryMs === 0 && seconds > 0) {
        throw protocolError('DISCONNECT sets a session expiry that CONNECT did not');
      }
      actor.vhost.sessions.setExpiry(session, cappedExpiry(seconds, this.settings) * 1000);
    }
    this.#hangUp(reasonCode !== REASON_SUCCESS);
  }

  // Login

  #onFirstPacket(type: number, buf: Buffer, start: number, end: number): void {
    const login = this.#login;
    const isWaiting = this.#stage === WAITING;
    if (isWaiting && type === CONNECT) login.onConnect(buf, start, end);
    else if (isWaiting && type === AUTH && login.awaitsAuth)
      login.onAuth(readAuth(buf, start, end));
    else throw protocolError(`${packetName(type)} before CONNACK`);
  }

  versionKnown(version: ProtocolVersion): void {
    this.#parser.setVersion(version);
  }

  loginBegins(): void {
    this.#stage = CHECKING;
    this.#gate.hold(HOLD_LOGIN);
  }

  loggedIn(connect: ConnectPacket, { user, vhost }: Login, proof: PropertyValues): void {
    if (this.#stage !== CHECKING) return;
    let client: ClientSession;
    try {
      client = new ClientSession(this, { user, vhost, connectionId: this.id }, connect);
    } catch (error) {
      if (!(error instanceof BrokerError)) this.#logFault(error);
      this.refused(reasonCodeOf(error), error instanceof Error ? error.message : '');
      return;
    }
    this.#client = client;
    let isNow = true;
    this.broker.hold(client.ticket, () => {
      if (this.#stage !== CHECKING) return;
      this.#accept(client, proof);
      if (isNow) this.#guard(() => this.#gate.release(HOLD_LOGIN));
      else queueMicrotask(() => this.#guard(() => this.#gate.release(HOLD_LOGIN)));
    });
    isNow = false;
  }

  renewed(isRenewed: boolean): void {
    const client = this.#client;
    if (this.#stage !== RUNNING || client === undefined) return;
    this.#guard(() => {
      if (!isRenewed) throw new MqttError(REASON_NOT_AUTHORIZED, 'the token is refused');
      client.recheckRights();
      this.#login.writeRenewed(client);
    });
  }

  #accept(client: ClientSession, proof: PropertyValues): void {
    this.#stage = RUNNING;
    this.#transport.admitted?.();
    this.#deadlineAtMs = Infinity;
    this.#lastReadAtMs = this.#deps.clock.monotonicMs();
    this.#parser.setPacketBytesMax(Math.min(this.settings.maxPacketBytes, VARINT_MAX));
    const byteCount = writeConnack(
      this.outbound,
      this.#login.version,
      client.isPresent,
      REASON_SUCCESS,
      { ...client.connack, ...proof },
      this.#login.packetBytesMax,
    );
    if (byteCount > 0) client.begin();
    else this.refused(REASON_PACKET_TOO_LARGE, '');
  }

  /** CONNACK with a reason, then the end; nothing is said to what is not MQTT. */
  refused(reasonCode: number, text: string): void {
    if (this.#stage === ENDED) return;
    const { remoteAddress } = this.peer;
    const told = { reason: reasonName(reasonCode), text: shortReason(text) };
    this.#deps.logger.warn({ connection: this.id, remoteAddress, ...told }, 'mqtt refused');
    const { version, packetBytesMax } = this.#login;
    const words = explanation(reasonCode, text, this.settings);
    if (version !== 0) {
      writeConnack(this.outbound, version, false, reasonCode, words, packetBytesMax);
    }
    this.#hangUp(false);
  }

  // Endings

  #guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (this.#stage === ENDED) return;
    if (!(error instanceof MqttError || error instanceof BrokerError)) this.#logFault(error);
    this.#close(reasonCodeOf(error), error instanceof Error ? error.message : '');
  }

  #close(reasonCode: number, text: string): void {
    if (this.#stage === ENDED) return;
    const told = { reason: reasonName(reasonCode), text: shortReason(text) };
    this.#deps.logger.info({ connection: this.id, ...told }, 'mqtt connection closed');
    if (this.#stage === RUNNING && isServerReason(reasonCode, DISCONNECT)) {
      const properties = explanation(reasonCode, text, this.settings);
      const { packetBytesMax } = this.#client!.limits;
      writeDisconnect(this.outbound, this.#login.version, reasonCode, properties, packetBytesMax);
    }
    this.#hangUp(true);
  }

  #logFault(error: unknown): void {
    this.#deps.logger.error({ connection: this.id, err: error }, 'fault while serving a packet');
  }

  #boundReplies(): void {
    if (this.#stage !== RUNNING || this.#gate.has(HOLD_REPLIES)) return;
    if (this.outbound.bufferedBytes >= UNREAD_REPLY_BYTES_MAX) this.#gate.hold(HOLD_REPLIES);
  }

  /** Sends what is buffered, then FIN. */
  #hangUp(leavesWill: boolean): void {
    if (this.#stage === ENDED) return;
    this.outbound.flush();
    this.#transport.end();
    this.#finish(leavesWill);
  }

  #finish(leavesWill: boolean): void {
    this.#stage = ENDED;
    this.#deadlineAtMs = Infinity;
    this.#parser.stop();
    this.replies.close();
    this.outbound.close();
    const client = this.#client;
    this.#client = undefined;
    client?.end(leavesWill);
    this.#deps.onEnded(this);
  }
}
