/**
 * The STOMP side of a listener: takes transports, keeps the connections, drives their clock.
 */
import { MessageArena } from '../../src/base/arena.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import type { ProtocolLogger } from '../../src/base/logger.ts';
import type { Broker } from '../../src/engine/broker.ts';
import { ConnectionSet } from '../../src/net/connection-set.ts';
import type { FlushSet } from '../../src/net/flush-set.ts';
import type { AcceptTransport } from '../../src/net/transport.ts';
import { type ConnectionDeps, StompConnection } from './connection.ts';
import { MessageWriter } from './message-writer.ts';
import type { MessageHeaders, StompSettings } from './settings.ts';

/** Ms between ticks: heart-beats are a second at least. */
const TICK_MS = 250;

export interface StompAcceptorDeps {
  readonly broker: Broker;
  readonly flushSet: FlushSet;
  readonly settings: StompSettings;
  readonly headers: MessageHeaders;
  readonly logger: ProtocolLogger;
  /** Defaults to the operating system's. */
  readonly clock?: Clock;
}

export interface StompAcceptor {
  readonly accept: AcceptTransport;
  readonly connectionCount: number;
  /** Runs deadlines and heart-beats that are due; the acceptor's own timer does it regularly. */
  tick(): void;
  /** Closes every connection with an ERROR. The caller has stopped accepting. */
  closeAll(text: string): Promise<void>;
}

/** Makes the acceptor of one or more STOMP listeners. */
export function createStompAcceptor(deps: StompAcceptorDeps): StompAcceptor {
  return new Acceptor(deps);
}

class Acceptor implements StompAcceptor {
  readonly accept: AcceptTransport;
  readonly #connections: ConnectionSet<StompConnection>;
  readonly #clock: Clock;
  readonly #writer: MessageWriter;

  constructor(deps: StompAcceptorDeps) {
    const { broker, flushSet, settings, headers, logger } = deps;
    const connections = new ConnectionSet<StompConnection>(() => this.tick(), TICK_MS);
    this.#connections = connections;
    this.#clock = deps.clock ?? systemClock;
    this.#writer = new MessageWriter(broker.formats);
    const connectionDeps: ConnectionDeps = {
      broker,
      flushSet,
      settings,
      headers,
      logger,
      clock: this.#clock,
      arena: new MessageArena(),
      writer: this.#writer,
      onEnded: (connection) => this.#remove(connection),
    };
    this.accept = (transport) => {
      const connection = new StompConnection(transport, connectionDeps);
      connections.add(connection);
      return connection;
    };
    broker.addPressureListener(connections);
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  tick(): void {
    const nowMs = this.#clock.monotonicMs();
    this.#writer.release();
    for (const connection of this.#connections) connection.tick(nowMs);
  }

  closeAll(text: string): Promise<void> {
    return this.#connections.closeAll(text);
  }

  #remove(connection: StompConnection): void {
    this.#connections.remove(connection);
    if (this.#connections.size === 0) this.#writer.release();
  }
}
