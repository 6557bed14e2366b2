/**
 * The AMQP side of a listener: takes transports, keeps the connections, drives their clock. A tick
 * costs some 20 ns a connection, so ten thousand cost 0.2 ms four times a second.
 */
import { MessageArena } from '../../src/base/arena.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import type { ProtocolLogger } from '../../src/base/logger.ts';
import type { Broker } from '../../src/engine/broker.ts';
import { ConnectionSet } from '../../src/net/connection-set.ts';
import type { FlushSet } from '../../src/net/flush-set.ts';
import type { AcceptTransport } from '../../src/net/transport.ts';
import { AmqpConnection, type ConnectionDeps } from './connection.ts';
import { TICK_MS } from './heartbeat.ts';
import { MethodReader } from './method-reader.ts';
import type { AmqpSettings } from './settings.ts';
import { UserQuotas } from './user-quotas.ts';

export interface AmqpAcceptorDeps {
  readonly broker: Broker;
  readonly flushSet: FlushSet;
  readonly settings: AmqpSettings;
  readonly logger: ProtocolLogger;
  /** Defaults to the operating system's. */
  readonly clock?: Clock;
}

export interface AmqpAcceptor {
  readonly accept: AcceptTransport;
  readonly connectionCount: number;
  /** Runs deadlines and heartbeats that are due; the acceptor's own timer does it regularly. */
  tick(): void;
  /**
   * Closes every connection with 320 and `replyText`; resolves when all have answered or run into
   * `closeTimeoutMs`. The caller has stopped accepting.
   */
  closeAll(replyText: string): Promise<void>;
}

/** Makes the acceptor of one or more AMQP listeners. */
export function createAmqpAcceptor(deps: AmqpAcceptorDeps): AmqpAcceptor {
  return new Acceptor(deps);
}

class Acceptor implements AmqpAcceptor {
  readonly accept: AcceptTransport;
  readonly #connections: ConnectionSet<AmqpConnection>;
  readonly #clock: Clock;

  constructor(deps: AmqpAcceptorDeps) {
    const connections = new ConnectionSet<AmqpConnection>(() => this.tick(), TICK_MS);
    this.#connections = connections;
    this.#clock = deps.clock ?? systemClock;
    const connectionDeps: ConnectionDeps = {
      broker: deps.broker,
      flushSet: deps.flushSet,
      settings: deps.settings,
      logger: deps.logger,
      clock: this.#clock,
      reader: new MethodReader(),
      arena: new MessageArena(),
      quotas: new UserQuotas(),
      onEnded: (connection) => connections.remove(connection),
    };
    this.accept = (transport) => {
      const connection = new AmqpConnection(transport, connectionDeps);
      connections.add(connection);
      return connection;
    };
    deps.broker.addPressureListener(connections);
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  tick(): void {
    const nowMs = this.#clock.monotonicMs();
    const wallMs = this.#clock.wallMs();
    for (const connection of this.#connections) connection.tick(nowMs, wallMs);
  }

  closeAll(replyText: string): Promise<void> {
    return this.#connections.closeAll(replyText);
  }
}
