/**
 * Who is connected under which client id, and the wills that wait for their delay.
 *
 * 1. A client id has one connection at a time in its vhost: a new one ends the old [MQTT-3.1.4-3].
 * 2. A will is on disk from CONNECT until it is published or off, so that it is published after a
 *    crash too; publishing and forgetting it are one commit.
 */
import { DeadlineHeap } from '../../src/base/deadline-heap.ts';
import type { ProtocolLogger } from '../../src/base/logger.ts';
import { tokenUser } from '../../src/engine/access/user.ts';
import type { Actor } from '../../src/engine/actor.ts';
import type { Broker } from '../../src/engine/broker.ts';
import type { VHost } from '../../src/engine/vhost.ts';
import type { ConnectWill } from './connect-packet.ts';
import { MqttError } from './mqtt-errors.ts';
import { Retaining } from './retaining.ts';
import { REASON_QUOTA_EXCEEDED } from './spec/reason-codes.ts';
import { publishWill, willFromJson, willToJson } from './will.ts';

/** Waiting wills from which on those called off are looked for: each may have 128 KB. */
const SWEEP_FROM = 64;

/** A connection that can be told to go. */
export interface RegisteredClient {
  /** Another connection has the client id now. */
  takenOver(): void;
}

interface WaitingWill {
  readonly key: string;
  readonly actor: Actor;
  readonly clientId: string;
  readonly will: ConnectWill;
}

export class ClientRegistry {
  /** What all of them retain, their wills too. */
  readonly retaining: Retaining;
  readonly #logger: ProtocolLogger;
  readonly #clients: Map<string, RegisteredClient>;
  readonly #wills: Map<string, WaitingWill>;
  /** Those that were called off among them, until their time or the next sweep. */
  readonly #dueWills: DeadlineHeap<WaitingWill>;
  /** Number of due wills at which those are dropped next. */
  #sweepAt: number;

  constructor(logger: ProtocolLogger) {
    this.retaining = new Retaining(logger);
    this.#logger = logger;
    this.#clients = new Map();
    this.#wills = new Map();
    this.#dueWills = new DeadlineHeap();
    this.#sweepAt = SWEEP_FROM;
  }

  /** @throws MqttError 0x97 when the user has as many connections as it may */
  checkConnection({ user }: Actor): void {
    if (user.mayConnect) return;
    const max = user.limits.maxConnections;
    throw new MqttError(REASON_QUOTA_EXCEEDED, `the user's connection limit (${max}) is reached`);
  }

  /** Ends the connection that has the id, if there is one. */
  evict(vhost: string, clientId: string): void {
    this.#clients.get(keyOf(vhost, clientId))?.takenOver();
  }

  add(vhost: string, clientId: string, client: RegisteredClient): void {
    this.#clients.set(keyOf(vhost, clientId), client);
  }

  remove(vhost: string, clientId: string, client: RegisteredClient): void {
    const key = keyOf(vhost, clientId);
    if (this.#clients.get(key) === client) this.#clients.delete(key);
  }

  /** Notes the will of a client that has connected, or that it has none. */
  keepWill(actor: Actor, clientId: string, will: ConnectWill | undefined): void {
    if (will !== undefined) this.#persist(actor, clientId, will, undefined);
  }

  /** The client left in order: its will is off. */
  forgetWill(actor: Actor, clientId: string): void {
    actor.vhost.sessions.forgetWill(clientId);
  }

  /**
   * Takes over the wills that the last process left. A delay that ran goes on from when it began;
   * who was connected when the process died is gone from now on.
   */
  restoreWills(broker: Broker, nowMs: number): void {
    for (const vhost of broker.vhosts()) {
      for (const [clientId, json] of vhost.sessions.takeWills()) {
        const { will, userName, grant, dueAtMs } = willFromJson(json);
        const user =
          grant === undefined ? broker.access.user(userName) : tokenUser(userName, grant);
        if (user === undefined) {
          vhost.sessions.forgetWill(clientId);
          continue;
        }
        const actor = { user, vhost, connectionId: 0 };
        const waiting = { key: keyOf(vhost.name, clientId), actor, clientId, will };
        this.#wills.set(waiting.key, waiting);
        this.#dueWills.push(dueAtMs ?? nowMs + willDelayMs(will, vhost, clientId), waiting);
      }
    }
  }

  /** Publishes a will, now or after `delayMs` unless the client is back by then. */
  leaveWill(
    actor: Actor,
    clientId: string,
    will: ConnectWill,
    delayMs: number,
    nowMs: number,
  ): void {
    const key = keyOf(actor.vhost.name, clientId);
    const waiting = { key, actor, clientId, will };
    if (delayMs <= 0) {
      this.#publish(waiting, nowMs);
      return;
    }
    this.#wills.set(key, waiting);
    const dueAtMs = nowMs + delayMs;
    if (this.#dueWills.length >= this.#sweepAt) this.#sweep();
    this.#dueWills.push(dueAtMs, waiting);
    this.#persist(actor, clientId, will, dueAtMs);
  }

  /** The client is back: with its session the will is off, else it is due (3.1.3.2.2). */
  settleWill(vhost: string, clientId: string, isResumed: boolean, nowMs: number): void {
    const key = keyOf(vhost, clientId);
    const waiting = this.#wills.get(key);
    if (waiting === undefined) return;
    this.#wills.delete(key);
    if (isResumed) waiting.actor.vhost.sessions.forgetWill(clientId);
    else this.#publish(waiting, nowMs);
  }

  get hasWaitingWills(): boolean {
    return this.#wills.size > 0;
  }

  /** Wills in memory, a share of those called off among them. */
  get keptWillCount(): number {
    return this.#dueWills.length;
  }

  /** Publishes the wills that are due. */
  tick(nowMs: number): void {
    while (this.#dueWills.nextKey <= nowMs) {
      const waiting = this.#dueWills.pop()!;
      if (this.#wills.get(waiting.key) !== waiting) continue;
      this.#wills.delete(waiting.key);
      this.#publish(waiting, nowMs);
    }
  }

  /** A client that comes and goes leaves one each time; their delays may be years. */
  #sweep(): void {
    this.#dueWills.retain((_, waiting) => this.#wills.get(waiting.key) === waiting);
    this.#sweepAt = Math.max(SWEEP_FROM, 2 * this.#dueWills.length);
  }

  #persist(actor: Actor, clientId: string, will: ConnectWill, dueAtMs: number | undefined): void {
    actor.vhost.sessions.keepWill(clientId, willToJson(will, actor.user, dueAtMs));
  }

  #publish({ actor, clientId, will }: WaitingWill, nowMs: number): void {
    actor.vhost.sessions.forgetWill(clientId);
    try {
      publishWill(actor, clientId, will, nowMs, this.retaining);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#logger.warn({ clientId, reason }, 'mqtt will was not published');
    }
  }
}

/** Ms from the end of the connection, or of the session when that comes first (3.1.3.2.2). */
function willDelayMs(will: ConnectWill, vhost: VHost, clientId: string): number {
  const expiryMs = vhost.sessions.find(clientId)?.expiryMs ?? 0;
  return Math.min(will.delaySeconds * 1000, expiryMs);
}

function keyOf(vhost: string, clientId: string): string {
  return `${vhost}\0${clientId}`;
}
