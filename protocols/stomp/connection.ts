/**
 * One STOMP connection: frames in, frames out, from CONNECT to the end.
 *
 *     LOGIN --CONNECT, checked--> RUNNING --DISCONNECT--> CLOSING (the last receipt) --> ENDED
 *       |                            |                                                    ^
 *       +----------- anything wrong: ERROR, then the socket is closed --------------------+
 *
 * Invariants:
 * 1. Whatever ends the connection, `#teardown` runs once: subscriptions cancelled, deliveries given
 *    back, transactions forgotten, queues of the connection deleted.
 * 2. After an ERROR nothing more is read or written (1.2, "ERROR").
 * 3. A receipt follows the disk, and receipts come in the order of their frames.
 * 4. No timer of its own: `tick` is called by the acceptor's.
 *
 * Rejected: going on after an ERROR, as RabbitMQ does for some. A client could not tell which of
 * the frames behind the bad one were taken.
 */
import type { MessageArena } from '../../src/base/arena.ts';
import type { Clock } from '../../src/base/clock.ts';
import { UNREAD_REPLY_BYTES_MAX } from '../../src/base/limits.ts';
import type { ProtocolLogger } from '../../src/base/logger.ts';
import type { User } from '../../src/engine/access/user.ts';
import type { Actor } from '../../src/engine/actor.ts';
import type { Broker } from '../../src/engine/broker.ts';
import type { Entry } from '../../src/engine/message.ts';
import type { Queue } from '../../src/engine/queue/queue.ts';
import type { FlushSet } from '../../src/net/flush-set.ts';
import { HOLD_LOGIN, HOLD_REPLIES, InputGate } from '../../src/net/input-gate.ts';
import { Outbound } from '../../src/net/outbound.ts';
import type { Transport, TransportHandler } from '../../src/net/transport.ts';
import { Deliveries, type Outcome } from './deliveries.ts';
import type { Frame } from './frame.ts';
import { type FrameHandler, FrameParser } from './frame-parser.ts';
import { HEART_BEAT_DEAD, HEART_BEAT_SEND, HeartBeat } from './heart-beat.ts';
import { escapeHeader } from './header-text.ts';
import { HEAD_BYTES_MAX, LOGIN_BODY_BYTES_MAX, LOGIN_HEAD_BYTES_MAX } from './limits.ts';
import { checkLogin, type Login, negotiate } from './login.ts';
import { type MessageWriter, writeFrame, writeHeartBeat } from './message-writer.ts';
import { type ReceiptHost, Receipts } from './receipts.ts';
import { SendPlans } from './send-plan.ts';
import { Sending } from './sending.ts';
import type { MessageHeaders, StompSettings } from './settings.ts';
import { type Dialect, STOMP_1_0, STOMP_1_2, VERSIONS } from './spec/headers.ts';
import { StompError, toStompError } from './stomp-error.ts';
import { Subscribing, type SubscribingHost } from './subscribing.ts';
import type { Subscription } from './subscription.ts';
import { Transactions } from './transactions.ts';

/** What all connections of an acceptor share. */
export interface ConnectionDeps {
  readonly broker: Broker;
  readonly flushSet: FlushSet;
  readonly settings: StompSettings;
  readonly headers: MessageHeaders;
  readonly logger: ProtocolLogger;
  readonly clock: Clock;
  readonly arena: MessageArena;
  readonly writer: MessageWriter;
  onEnded(connection: StompConnection): void;
}

const LOGIN = 0;
const RUNNING = 1;
/** DISCONNECT came: the socket is closed once its receipt is written. */
const CLOSING = 2;
const ENDED = 3;

const SESSION_RANDOM_BYTES = 16;

/** What a connection has from its login on. */
interface Session {
  readonly sending: Sending;
  readonly subscribing: Subscribing;
  readonly deliveries: Deliveries;
  readonly transactions: Transactions;
  readonly receipts: Receipts;
}

export class StompConnection
  implements TransportHandler, FrameHandler, SubscribingHost, ReceiptHost
{
  readonly id: number;
  readonly outbound: Outbound;
  dialect: Dialect;
  readonly #deps: ConnectionDeps;
  readonly #transport: Transport;
  readonly #parser: FrameParser;
  readonly #gate: InputGate;
  #heartBeat: HeartBeat;
  #actor: Actor | undefined;
  #session: Session | undefined;
  /** Of the session, and still there after DISCONNECT. */
  #receipts: Receipts | undefined;
  #stage: number;
  #chunkAtMs: number;
  /** Monotonic ms at which the socket is dropped: the login or the close took too long. */
  #deadlineAtMs: number;

  constructor(transport: Transport, deps: ConnectionDeps) {
    const nowMs = deps.clock.monotonicMs();
    this.id = deps.broker.nextConnectionId();
    this.outbound = new Outbound(transport, deps.flushSet);
    this.dialect = STOMP_1_0;
    this.#deps = deps;
    this.#transport = transport;
    this.#parser = new FrameParser(this, LOGIN_HEAD_BYTES_MAX, LOGIN_BODY_BYTES_MAX);
    this.#gate = new InputGate(deps.broker, transport, this.#parser);
    this.#heartBeat = new HeartBeat(0, 0, nowMs);
    this.#actor = undefined;
    this.#session = undefined;
    this.#receipts = undefined;
    this.#stage = LOGIN;
    this.#chunkAtMs = 0;
    this.#deadlineAtMs = nowMs + deps.settings.loginTimeoutMs;
  }

  /** Valid from the login on. */
  get actor(): Actor {
    return this.#actor!;
  }

  randomBytes(count: number): Uint8Array {
    return this.#deps.broker.random.bytes(count);
  }

  // Transport

  onChunk(chunk: Buffer): void {
    this.#chunkAtMs = this.#deps.clock.wallMs();
    this.#heartBeat.didRead = true;
    this.#guard(() => this.#parser.push(chunk));
  }

  onDrain(): void {
    if (this.#stage !== RUNNING) return;
    this.#guard(() => this.#gate.release(HOLD_REPLIES));
    this.#session?.subscribing.wakeAll();
  }

  onClosed(error: Error | undefined): void {
    if (this.#stage === ENDED) return;
    if (this.#stage === RUNNING) {
      const reason = error === undefined ? 'closed without DISCONNECT' : error.message;
      this.#deps.logger.info({ connection: this.id, reason }, 'stomp connection lost');
    }
    this.#finish();
  }

  // Acceptor

  /** Once per tick of the acceptor: deadlines and heart-beats. */
  tick(nowMs: number): void {
    if (nowMs >= this.#deadlineAtMs) {
      this.#drop(this.#stage === LOGIN ? 'login timeout' : 'close timeout');
      return;
    }
    if (this.#stage !== RUNNING) return;
    const { expiresAtMs, isDeleted, name } = this.actor.user;
    if (isDeleted) {
      this.#fail(new StompError('User deleted', `user '${name}' was deleted`));
      return;
    }
    if (this.#deps.clock.wallMs() >= expiresAtMs) {
      const detail = 'The credential used to authenticate this connection has expired';
      this.#fail(new StompError('Credential expired', detail));
      return;
    }
    const due = this.#heartBeat.tick(nowMs, !this.#gate.excusesSilence);
    if (due === HEART_BEAT_SEND) writeHeartBeat(this.outbound);
    else if (due === HEART_BEAT_DEAD) this.#drop('missed heart-beats from client');
  }

  /** Alarms or overload changed. */
  onPressureChange(): void {
    if (this.#stage === RUNNING) this.#gate.update();
  }

  /** Closes with an ERROR: the process stops. */
  shutdown(text: string): void {
    if (this.#stage === RUNNING) this.#fail(new StompError('connection_forced', text));
    else if (this.#stage !== ENDED) this.#drop('shutdown');
  }

  // Frames

  onFrame(frame: Frame): void {
    try {
      this.#take(frame);
    } catch (error) {
      this.#fault(error, receiptOf(frame));
    }
  }

  #take(frame: Frame): void {
    const { command } = frame;
    const isConnect = command === 'CONNECT' || command === 'STOMP';
    if (this.#stage === LOGIN) {
      if (isConnect) this.#connect(frame);
      else throw new StompError('Illegal command', 'You must log in using CONNECT first\n');
      return;
    }
    const session = this.#session;
    if (this.#stage !== RUNNING || session === undefined) return;
    if (command === 'SEND') {
      this.#gate.becamePublisher();
      session.sending.send(frame, this.#chunkAtMs);
      this.#boundReplies();
      return;
    }
    if (isConnect) throw new StompError('Illegal command', 'already logged in\n');
    this.#perform(session, frame);
    const receipt = frame.header('receipt');
    if (receipt !== undefined) session.receipts.owe(receipt, this.#deps.broker.ticket, false);
    if (command === 'DISCONNECT') this.#disconnect(session, receipt !== undefined);
    else this.#boundReplies();
  }

  /** Receipts are owed whether the client reads them or not: who does not is not read either. */
  #boundReplies(): void {
    if (!this.outbound.isFull || this.#gate.has(HOLD_REPLIES)) return;
    if (this.outbound.bufferedBytes >= UNREAD_REPLY_BYTES_MAX) this.#gate.hold(HOLD_REPLIES);
  }

  #perform(session: Session, frame: Frame): void {
    switch (frame.command) {
      case 'SUBSCRIBE':
        session.subscribing.subscribe(frame);
        break;
      case 'UNSUBSCRIBE':
        session.subscribing.unsubscribe(frame);
        break;
      case 'ACK':
        this.#settle(session, frame, 'ack');
        break;
      case 'NACK': {
        const isRequeued = frame.booleanHeader('requeue') ?? true;
        this.#settle(session, frame, isRequeued ? 'requeue' : 'reject');
        break;
      }
      case 'BEGIN':
        session.transactions.begin(transactionOf(frame));
        break;
      case 'COMMIT':
        session.sending.commit(session.transactions.end(transactionOf(frame)), this.#chunkAtMs);
        break;
      case 'ABORT':
        session.transactions.end(transactionOf(frame));
        break;
      case 'DISCONNECT':
        break;
      default:
        throw new StompError('Bad command', `Could not interpret command "${frame.command}"\n`);
    }
  }

  // Login

  #connect(frame: Frame): void {
    const { broker, settings, clock } = this.#deps;
    this.dialect = negotiate(frame);
    const heartBeat = HeartBeat.agree(frame.header('heart-beat') ?? '0,0', clock.monotonicMs());
    let isDone = false;
    const finish = (complete: () => void): void => {
      isDone = true;
      if (this.#stage !== LOGIN) return;
      complete();
      this.#guard(() => this.#gate.release(HOLD_LOGIN));
    };
    checkLogin(
      broker,
      settings,
      this.#transport.peer,
      frame,
      (login) =>
        finish(() => {
          const refusal = this.#limitText(login.user);
          if (refusal === undefined) this.#connected(login, heartBeat);
          else this.#fail(new StompError('Bad CONNECT', refusal));
        }),
      (error) => finish(() => this.#fail(error)),
    );
    if (!isDone) this.#gate.hold(HOLD_LOGIN);
  }

  #limitText(user: User): string | undefined {
    if (user.mayConnect) return undefined;
    const max = user.limits.maxConnections;
    return `Connection refused: user connection limit (${max}) is reached`;
  }

  #connected(login: Login, heartBeat: HeartBeat): void {
    const { broker, settings, clock, headers } = this.#deps;
    const name = Buffer.from(this.randomBytes(SESSION_RANDOM_BYTES)).toString('base64url');
    const sessionName = `session-${name}`;
    const actor: Actor = { user: login.user, vhost: login.vhost, connectionId: this.id };
    const subscribing = new Subscribing(this);
    const sender = {
      userName: login.user.name,
      mayImpersonate: login.user.tags.has('impersonator'),
      replyQueue: (queue: string) => subscribing.replyQueue(queue),
    };
    const deliveries = new Deliveries(sessionName);
    const transactions = new Transactions();
    const receipts = new Receipts(broker, this);
    const plans = new SendPlans(headers, sender);
    const parts = { actor, plans, deliveries, transactions, receipts };
    const sending = new Sending(this.#deps, parts);
    this.#actor = actor;
    this.#transport.admitted?.();
    actor.user.connectionCount += 1;
    this.#receipts = receipts;
    this.#session = {
      sending,
      subscribing,
      deliveries,
      transactions,
      receipts,
    };
    this.#stage = RUNNING;
    this.#deadlineAtMs = Infinity;
    this.#heartBeat = new HeartBeat(heartBeat.sendMs, heartBeat.receiveMs, clock.monotonicMs());
    this.#parser.dialect = this.dialect;
    this.#parser.setLimits(HEAD_BYTES_MAX, settings.maxMessageBytes);
    const answer = {
      version: VERSIONS[this.dialect],
      session: sessionName,
      server: settings.server,
      'heart-beat': `${heartBeat.sendMs},${heartBeat.receiveMs}`,
    };
    // CONNECTED is not escaped (1.2, "Value Encoding").
    writeFrame(this.outbound, 'CONNECTED', answer, '', STOMP_1_0);
  }

  // Receiving

  /** Writes one MESSAGE. Hot: called by the engine in the turn. */
  deliver(subscription: Subscription, queue: Queue, entry: Entry): void {
    const session = this.#session!;
    const id = escapeHeader(session.deliveries.add(subscription, queue, entry), this.dialect);
    const ack = subscription.noAck || this.dialect !== STOMP_1_2 ? '' : `ack:${id}\n`;
    this.#heartBeat.didWrite = true;
    const { prefix } = subscription;
    const { isRedelivered, message } = entry;
    const { writer } = this.#deps;
    writer.deliver(this.outbound, prefix, id, ack, isRedelivered, message, this.dialect);
  }

  /** The queue went away, or the right to read it. */
  subscriptionCancelled(subscription: Subscription): void {
    // The engine is in the middle of something.
    queueMicrotask(() => {
      if (this.#session?.subscribing.forget(subscription) !== true) return;
      const shown = subscription.tag.replace(/^T_/, "id='").replace(/^Q_/, "destination='");
      const detail =
        'The server has canceled a subscription.\n' +
        `No more messages will be delivered for "${shown}'".\n`;
      this.#fail(new StompError('Server cancelled subscription', detail));
    });
  }

  #settle(session: Session, frame: Frame, outcome: Outcome): void {
    const header = this.dialect === STOMP_1_2 ? 'id' : 'message-id';
    const id = frame.header(header);
    if (id === undefined) {
      const detail = `"${frame.command}" must include the "${header}" header\n`;
      throw new StompError('Missing header', detail);
    }
    const delivery = session.deliveries.find(frame.command, header, id);
    const transaction = frame.header('transaction');
    if (transaction === undefined) session.deliveries.settle(delivery, outcome);
    else session.transactions.add(transaction, { kind: 'settle', delivery, outcome });
  }

  // Receipts

  receipt(id: string): void {
    if (this.#stage === ENDED) return;
    this.#heartBeat.didWrite = true;
    writeFrame(this.outbound, 'RECEIPT', { 'receipt-id': id }, '', this.dialect);
    if (this.#stage === CLOSING && this.#receipts?.pendingCount === 0) this.#hangUp();
  }

  refused(id: string): void {
    // Told from within the broker's turn: tearing down must wait for its end.
    queueMicrotask(() => {
      if (this.#stage !== RUNNING) return;
      const detail = 'a queue refused the message: it is full\n';
      this.#fail(new StompError('Message rejected', detail), id);
    });
  }

  // Endings

  /** Runs what may meet a bad frame; no exception leaves it. */
  #guard(run: () => void): void {
    if (this.#stage === ENDED) return;
    try {
      run();
    } catch (error) {
      this.#fault(error, undefined);
    }
  }

  /** @param receiptId  receipt that the frame asked for which the error answers */
  #fault(error: unknown, receiptId: string | undefined): void {
    const { error: told, isFault } = toStompError(error);
    const { logger } = this.#deps;
    if (isFault) logger.error({ connection: this.id, err: error }, 'fault while serving a frame');
    this.#fail(told, receiptId);
  }

  /** DISCONNECT: the receipt, when one was asked for, waits for all before it. */
  #disconnect(session: Session, hasReceipt: boolean): void {
    this.#stage = CLOSING;
    this.#deadlineAtMs = this.#deps.clock.monotonicMs() + this.#deps.settings.closeTimeoutMs;
    this.#teardown(session);
    if (!hasReceipt) this.#hangUp();
  }

  /** Says what is wrong, then hangs up. */
  #fail(error: StompError, receiptId?: string): void {
    if (this.#stage === ENDED) return;
    const { message, detail } = error;
    this.#deps.logger.warn({ connection: this.id, error: message, detail }, 'stomp error');
    const headers = {
      message,
      'content-type': 'text/plain',
      version: VERSIONS.join(','),
      ...(receiptId === undefined ? {} : { 'receipt-id': receiptId }),
    };
    writeFrame(this.outbound, 'ERROR', headers, detail, this.dialect);
    this.#hangUp();
  }

  /** Sends what is buffered, then closes. */
  #hangUp(): void {
    if (this.#stage === ENDED) return;
    this.outbound.flush();
    this.#transport.end();
    this.#finish();
  }

  /** Closes the socket without a word. */
  #drop(reason: string): void {
    if (this.#stage === ENDED) return;
    this.#deps.logger.info({ connection: this.id, reason }, 'stomp connection dropped');
    this.#transport.destroy();
    this.#finish();
  }

  #finish(): void {
    if (this.#session !== undefined) this.#teardown(this.#session);
    this.#receipts?.close();
    this.#receipts = undefined;
    if (this.#actor !== undefined) this.#actor.user.connectionCount -= 1;
    this.#stage = ENDED;
    this.#deadlineAtMs = Infinity;
    this.#parser.stop();
    this.outbound.close();
    this.#deps.onEnded(this);
  }

  /** Gives everything back to the engine; receipts may still be owed. */
  #teardown(session: Session): void {
    this.#session = undefined;
    session.subscribing.close();
    session.deliveries.giveBackAll();
    this.actor.vhost.connectionClosed(this.id);
  }
}

/** The receipt a frame asks for, if that can be read. */
function receiptOf(frame: Frame): string | undefined {
  try {
    return frame.header('receipt');
  } catch {
    return undefined;
  }
}

/** @throws StompError without the header */
function transactionOf(frame: Frame): string {
  const name = frame.header('transaction');
  if (name !== undefined) return name;
  const detail = `"${frame.command}" must include a 'transaction' header\n`;
  throw new StompError('Missing transaction', detail);
}
