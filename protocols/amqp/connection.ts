/**
 * One AMQP connection: frames in, frames out, and its life from accept to close (spec 2.2, 1.4).
 *
 *     HANDSHAKE ---open-ok---> RUNNING ---close (theirs)---> ANSWERED ----> ENDED
 *         |                       |                                           ^
 *         |                       +---error or shutdown---> CLOSING ----------+
 *         +---anything wrong: close or a dropped socket                close-ok or deadline
 *
 * Invariants:
 *   1. Whatever ends the connection, `#teardown` runs once: consumers cancelled, deliveries given
 *      back, exclusive queues deleted. It runs before close-ok, since clients reconnect at once
 *      and declare the same names.
 *   2. After a close of ours only close and close-ok are looked at.
 *   3. No exception leaves a frame handler: `#onError` turns it into a close.
 *   4. No timer of its own: `tick` is called by the acceptor's.
 *
 * The hot path is `onFrame` -> channel, without an object between socket and engine.
 */
import type { MessageArena } from '../../src/base/arena.ts';
import { readU32 } from '../../src/base/byte-reader.ts';
import type { Clock } from '../../src/base/clock.ts';
import { BrokerError } from '../../src/base/errors.ts';
import { PRE_LOGIN_FRAME_BYTES_MAX, UNREAD_REPLY_BYTES_MAX } from '../../src/base/limits.ts';
import type { ProtocolLogger } from '../../src/base/logger.ts';
import type { User } from '../../src/engine/access/user.ts';
import type { Actor } from '../../src/engine/actor.ts';
import type { Broker } from '../../src/engine/broker.ts';
import type { VHost } from '../../src/engine/vhost.ts';
import type { FlushSet } from '../../src/net/flush-set.ts';
import { HOLD_LOGIN, HOLD_READS, HOLD_REPLIES, InputGate } from '../../src/net/input-gate.ts';
import { Outbound } from '../../src/net/outbound.ts';
import type { PeerInfo, Transport, TransportHandler } from '../../src/net/transport.ts';
import { type CloseReason, closeReason } from './amqp-errors.ts';
import type { ChannelHost, ClientCapabilities } from './channel-host.ts';
import { ChannelTable } from './channel-table.ts';
import {
  dispatchConnectionMethod,
  writeConnectionBlocked,
  writeConnectionClose,
  writeConnectionCloseOk,
  writeConnectionUnblocked,
} from './codec.generated.ts';
import { ControlChannel, type ControlHost } from './control-channel.ts';
import { DeliveryWriter } from './delivery-writer.ts';
import { timeOutDeliveries } from './delivery-timeout.ts';
import { type FrameHandler, FrameParser } from './frame-parser.ts';
import { writeHeartbeat } from './frame-writer.ts';
import { Handshake, type Tuning } from './handshake.ts';
import { Heartbeat, HEARTBEAT_DEAD, HEARTBEAT_SEND, TICK_MS } from './heartbeat.ts';
import type { MethodReader } from './method-reader.ts';
import { PROTOCOL_HEADER_0_9_1, type ProtocolHeader } from './protocol-header.ts';
import type { AmqpSettings } from './settings.ts';
import {
  FRAME_HEARTBEAT,
  FRAME_METHOD,
  METHOD_BASIC_PUBLISH,
  METHOD_CONNECTION_CLOSE,
  METHOD_CONNECTION_CLOSE_OK,
  METHOD_CONNECTION_UPDATE_SECRET,
} from './spec/constants.ts';
import type { UserQuotas } from './user-quotas.ts';

/** What all connections of an acceptor share. */
export interface ConnectionDeps {
  readonly broker: Broker;
  readonly flushSet: FlushSet;
  readonly settings: AmqpSettings;
  readonly logger: ProtocolLogger;
  readonly clock: Clock;
  readonly reader: MethodReader;
  readonly arena: MessageArena;
  readonly quotas: UserQuotas;
  onEnded(connection: AmqpConnection): void;
}

/** basic.get that may wait for the disk at once on one connection: a page serves them all. */
const WAITING_GETS_MAX = 64;

const HANDSHAKE = 0;
const RUNNING = 1;
/** We sent connection.close and wait for close-ok. */
const CLOSING = 2;
/** We sent close-ok, and the client hangs up. */
const ANSWERED = 3;
const ENDED = 4;

/**
 * Ms. How long the client has to hang up after close-ok, which is its part (spec 1.4.2.10); then
 * we do. An end that arrives together with close-ok is an error to amqp091-go 1.5 when two
 * goroutines close.
 */
const HANG_UP_WAIT_MS = 100;

export class AmqpConnection implements TransportHandler, FrameHandler, ControlHost, ChannelHost {
  readonly id: number;
  readonly broker: Broker;
  readonly settings: AmqpSettings;
  readonly reader: MethodReader;
  readonly arena: MessageArena;
  readonly outbound: Outbound;
  readonly writer: DeliveryWriter;
  heartbeat: Heartbeat;
  chunkAtMs: number;
  /** Monotonic ms of the last tick. */
  #tickAtMs: number;
  /** Monotonic ms at which a delivery may be overdue; Infinity when none can be. */
  #overdueAtMs: number;
  readonly #deps: ConnectionDeps;
  readonly #transport: Transport;
  readonly #parser: FrameParser;
  readonly #handshake: Handshake;
  readonly #control: ControlChannel;
  readonly #gate: InputGate;
  #waitingGetCount: number;
  #stage: number;
  #actor: Actor | undefined;
  #channels: ChannelTable | undefined;
  #channelMax: number;
  /** Monotonic ms at which the socket is dropped: handshake or close took too long. */
  #deadlineAtMs: number;

  constructor(transport: Transport, deps: ConnectionDeps) {
    const { broker, settings, clock } = deps;
    this.id = broker.nextConnectionId();
    this.broker = broker;
    this.settings = settings;
    this.reader = deps.reader;
    this.arena = deps.arena;
    this.outbound = new Outbound(transport, deps.flushSet);
    this.writer = new DeliveryWriter(this.outbound);
    this.heartbeat = new Heartbeat(0, clock.monotonicMs());
    this.chunkAtMs = 0;
    this.#tickAtMs = clock.monotonicMs();
    this.#overdueAtMs = Infinity;
    this.#deps = deps;
    this.#transport = transport;
    this.#parser = new FrameParser(this, PRE_LOGIN_FRAME_BYTES_MAX);
    this.#handshake = new Handshake(broker, settings, transport.peer);
    this.#control = new ControlChannel(this, this.#handshake);
    this.#gate = new InputGate(broker, transport, this.#parser, {
      blocked: (reason) => this.#tellBlocked(reason),
      unblocked: () => this.#tellUnblocked(),
    });
    this.#waitingGetCount = 0;
    this.#stage = HANDSHAKE;
    this.#actor = undefined;
    this.#channels = undefined;
    this.#channelMax = 0;
    this.#deadlineAtMs = clock.monotonicMs() + settings.handshakeTimeoutMs;
  }

  /** Valid from open-ok on. */
  get actor(): Actor {
    return this.#actor!;
  }

  get capabilities(): ClientCapabilities {
    return this.#handshake.capabilities;
  }

  get peer(): PeerInfo {
    return this.#transport.peer;
  }

  get logger(): ProtocolLogger {
    return this.#deps.logger;
  }

  get isHandshaking(): boolean {
    return this.#stage === HANDSHAKE;
  }

  get isRunning(): boolean {
    return this.#stage === RUNNING;
  }

  // Transport

  onChunk(chunk: Buffer): void {
    this.chunkAtMs = this.#deps.clock.wallMs();
    this.heartbeat.didRead = true;
    try {
      this.#parser.push(chunk);
    } catch (error) {
      this.#onFramingError(error);
    }
  }

  onDrain(): void {
    if (this.#stage !== RUNNING) return;
    this.#release(HOLD_REPLIES);
    if (this.#stage !== RUNNING) return;
    for (const channel of this.#channels!.all()) channel.onDrain();
  }

  onClosed(error: Error | undefined): void {
    if (this.#stage === ENDED) return;
    if (this.#stage === RUNNING) {
      const reason = error === undefined ? 'closed without a handshake' : error.message;
      this.#deps.logger.warn({ connection: this.id, reason }, 'amqp connection lost');
    }
    this.#finish();
  }

  // Acceptor

  /** Once per tick of the acceptor: deadlines, heartbeats, and the end of a token (wall clock). */
  tick(nowMs: number, wallMs: number): void {
    this.#tickAtMs = nowMs;
    if (nowMs >= this.#deadlineAtMs) {
      if (this.#stage === ANSWERED) this.#hangUp();
      else this.drop(this.#stage === HANDSHAKE ? 'handshake timeout' : 'close timeout');
      return;
    }
    if (this.#stage !== RUNNING) return;
    if (wallMs >= this.actor.user.expiresAtMs) {
      this.#expire();
      return;
    }
    if (nowMs >= this.#overdueAtMs) this.#timeOutDeliveries(nowMs);
    const due = this.heartbeat.tick(nowMs, !this.#gate.excusesSilence);
    if (due === HEARTBEAT_SEND) writeHeartbeat(this.outbound);
    else if (due === HEARTBEAT_DEAD) this.drop('missed heartbeats from client');
  }

  #timeOutDeliveries(nowMs: number): void {
    this.#overdueAtMs = Infinity;
    for (const channel of this.#channels!.all()) {
      timeOutDeliveries(channel, nowMs);
      this.#overdueAtMs = Math.min(this.#overdueAtMs, channel.settle.nextDueAtMs());
    }
  }

  /** Token no longer valid, and no other came in time; or the user is gone (RabbitMQ's texts). */
  #expire(): void {
    const { name, isDeleted } = this.actor.user;
    const text = isDeleted ? `user '${name}' was deleted` : 'credential expired';
    this.#deps.logger.warn({ connection: this.id, user: name }, `amqp ${text}`);
    this.close(closeReason(new BrokerError('CONNECTION_FORCED', text), 0));
  }

  /** Alarms or overload changed. */
  onPressureChange(): void {
    if (this.#stage === RUNNING) this.#gate.update();
  }

  /** Closes in order: an operator or the end of the process wants it (320). */
  shutdown(replyText: string): void {
    if (this.#stage === RUNNING) {
      this.close(closeReason(new BrokerError('CONNECTION_FORCED', replyText), 0));
    } else if (this.#stage === HANDSHAKE) {
      this.drop('shutdown');
    } else if (this.#stage === ANSWERED) {
      this.#hangUp();
    }
  }

  // Frames

  onProtocolHeader(header: ProtocolHeader): void {
    if (header !== 'amqp-0-9-1') {
      const pos = this.outbound.reserve(PROTOCOL_HEADER_0_9_1.length);
      PROTOCOL_HEADER_0_9_1.copy(this.outbound.slab, pos);
      this.#hangUp();
      return;
    }
    this.#control.start();
  }

  onFrame(type: number, channelId: number, buf: Buffer, start: number, end: number): void {
    try {
      if (channelId !== 0 && this.#stage === RUNNING) {
        const channel = this.#channels!.get(channelId);
        if (channel !== undefined) channel.onFrame(type, buf, start, end);
        else this.#channels!.onStrayFrame(channelId, type, buf, start, end);
        if (this.outbound.isFull) this.#boundReplies();
      } else {
        this.#onControlFrame(type, channelId, buf, start, end);
      }
    } catch (error) {
      const isMethod = type === FRAME_METHOD && end - start >= 4;
      this.#onError(error, channelId, isMethod ? readU32(buf, start) : METHOD_BASIC_PUBLISH);
    }
  }

  /**
   * Deliveries stop at the high-water mark; replies the client asked for do not, so beyond a limit
   * nothing more is taken from a client that does not read. The limit is far above what deliveries
   * fill: a client may block in writing its acks while deliveries wait for it.
   */
  #boundReplies(): void {
    if (this.#stage !== RUNNING || this.#gate.has(HOLD_REPLIES)) return;
    if (this.outbound.bufferedBytes >= UNREAD_REPLY_BYTES_MAX) this.#gate.hold(HOLD_REPLIES);
  }

  #onControlFrame(type: number, channelId: number, buf: Buffer, start: number, end: number): void {
    if (this.#stage >= ANSWERED) return;
    const method = type === FRAME_METHOD && end - start >= 4 ? readU32(buf, start) : 0;
    if (this.#stage === CLOSING) {
      if (channelId !== 0) return;
      if (method === METHOD_CONNECTION_CLOSE) this.answerClose();
      else if (method === METHOD_CONNECTION_CLOSE_OK) this.#hangUp();
      return;
    }
    if (channelId !== 0) {
      throw new BrokerError('CHANNEL_ERROR', `frame on channel ${channelId} before open-ok`);
    }
    if (type === FRAME_HEARTBEAT) return;
    if (type !== FRAME_METHOD) {
      throw new BrokerError('UNEXPECTED_FRAME', `frame of type ${type} on channel 0`);
    }
    const isServed =
      method === METHOD_CONNECTION_CLOSE || method === METHOD_CONNECTION_UPDATE_SECRET;
    if (this.#stage === RUNNING && !isServed) {
      throw new BrokerError('CHANNEL_ERROR', 'unexpected method in connection state running');
    }
    dispatchConnectionMethod(this.#control, this.reader, buf, start, end);
  }

  // Channel 0

  failed(error: unknown, method: number): void {
    this.#onError(error, 0, method);
  }

  holdForLogin(): void {
    this.#gate.hold(HOLD_LOGIN);
  }

  loginDone(): void {
    this.#release(HOLD_LOGIN);
  }

  tuned(tuning: Tuning): void {
    this.#channelMax = tuning.channelMax;
    this.#parser.setFrameMax(tuning.frameMaxBytes);
    this.writer.setFrameMaxBytes(tuning.frameMaxBytes);
    this.heartbeat = new Heartbeat(tuning.heartbeatSeconds, this.#deps.clock.monotonicMs());
  }

  opened(user: User, vhost: VHost): void {
    this.#deps.quotas.takeConnection(user, vhost.name);
    this.#transport.admitted?.();
    this.#actor = { user, vhost, connectionId: this.id };
    this.#channels = new ChannelTable(this, this.#deps.quotas.channels(user), this.#channelMax);
    this.#stage = RUNNING;
    this.#deadlineAtMs = Infinity;
  }

  recheckRights(): void {
    const { user, vhost } = this.actor;
    this.broker.access.authorizeVhost(user, vhost.name);
    for (const channel of this.#channels!.all()) channel.consume.recheckRights();
  }

  // ChannelHost

  becamePublisher(): void {
    this.#gate.becamePublisher();
  }

  getWaits(): void {
    this.#waitingGetCount += 1;
    if (this.#waitingGetCount === WAITING_GETS_MAX) this.#gate.hold(HOLD_READS);
  }

  getDone(): void {
    this.#waitingGetCount -= 1;
    if (this.#waitingGetCount > 0 || !this.#gate.has(HOLD_READS)) return;
    // The engine is in the middle of something: what was kept is parsed when it has finished.
    queueMicrotask(() => this.#release(HOLD_READS));
  }

  settleBy(timeoutMs: number): number {
    // The last tick is up to one tick ago: a delivery is given that much more, never less.
    const dueAtMs = this.#tickAtMs + TICK_MS + timeoutMs;
    if (dueAtMs < this.#overdueAtMs) this.#overdueAtMs = dueAtMs;
    return dueAtMs;
  }

  channelEnded(id: number): void {
    this.#channels?.remove(id);
  }

  // Endings

  /** Ends reasons for holding input, and goes on with what was kept. */
  #release(reasons: number): void {
    try {
      this.#gate.release(reasons);
    } catch (error) {
      this.#onFramingError(error);
    }
  }

  /** Reads what a client says while its connection closes. */
  #openGate(): void {
    try {
      this.#gate.open();
    } catch (error) {
      this.#onFramingError(error);
    }
  }

  #onError(error: unknown, channelId: number, method: number): void {
    const reason = closeReason(error, method);
    if (reason.isFault) {
      this.#deps.logger.error({ connection: this.id, err: error }, 'fault while serving a method');
    }
    const channel = channelId === 0 ? undefined : this.#channels?.get(channelId);
    if (channel !== undefined && !reason.endsConnection) {
      channel.fail(reason);
      return;
    }
    this.#failConnection(reason);
  }

  #failConnection(reason: CloseReason): void {
    const { replyCode, replyText } = reason;
    this.#deps.logger.warn({ connection: this.id, replyCode, replyText }, 'amqp connection error');
    // Who has not logged in, or breaks the handshake's order, is told nothing.
    const isTold = this.#stage === RUNNING || reason.code === 'NOT_ALLOWED';
    if (isTold) this.close(reason);
    else this.drop(replyText);
  }

  /** The byte stream cannot be followed any more: say why, then hang up. */
  #onFramingError(error: unknown): void {
    if (this.#stage === ENDED) return;
    const wasRunning = this.#stage === RUNNING;
    this.#onError(error, 0, 0);
    if (wasRunning) this.#hangUp();
    else this.drop('framing error');
  }

  /** Sends connection.close and waits for close-ok, discarding the rest. */
  close(reason: CloseReason): void {
    if (this.#stage >= CLOSING) return;
    this.#teardown();
    this.#stage = CLOSING;
    this.#deadlineAtMs = this.#deps.clock.monotonicMs() + this.settings.closeTimeoutMs;
    const { replyCode, replyText, classId, methodId } = reason;
    writeConnectionClose(this.outbound, 0, replyCode, replyText, classId, methodId);
    this.#openGate();
  }

  answerClose(): void {
    this.#teardown();
    writeConnectionCloseOk(this.outbound, 0);
    this.outbound.flush();
    this.#stage = ANSWERED;
    this.#parser.stop();
    this.#gate.open();
    this.#deadlineAtMs = this.#deps.clock.monotonicMs() + HANG_UP_WAIT_MS;
  }

  /** Sends what is buffered, then FIN. */
  #hangUp(): void {
    if (this.#stage === ENDED) return;
    this.outbound.flush();
    this.#transport.end();
    this.#finish();
  }

  /** Closes the socket without a word. */
  drop(reason: string): void {
    if (this.#stage === ENDED) return;
    this.#deps.logger.info({ connection: this.id, reason }, 'amqp connection dropped');
    this.#transport.destroy();
    this.#finish();
  }

  #finish(): void {
    this.#teardown();
    this.#stage = ENDED;
    this.#deadlineAtMs = Infinity;
    this.#parser.stop();
    this.outbound.close();
    this.#deps.onEnded(this);
  }

  #teardown(): void {
    const channels = this.#channels;
    if (channels === undefined) return;
    this.#channels = undefined;
    const { user, vhost } = this.actor;
    channels.abortAll();
    vhost.connectionClosed(this.id);
    this.#deps.quotas.giveConnection(user);
  }

  #tellBlocked(reason: string): void {
    if (this.capabilities.connectionBlocked) writeConnectionBlocked(this.outbound, 0, reason);
  }

  #tellUnblocked(): void {
    if (this.capabilities.connectionBlocked) writeConnectionUnblocked(this.outbound, 0);
  }
}
