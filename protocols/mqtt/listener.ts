/**
 * The MQTT side of a listener: takes transports, keeps the connections, drives their clock.
 *
 * One interval serves the deadlines, keep-alives, waiting wills and `$SYS` topics of all of them; a
 * tick costs some 20 ns a connection.
 */
import { MessageArena } from '../../src/base/arena.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import type { ProtocolLogger } from '../../src/base/logger.ts';
import type { Broker } from '../../src/engine/broker.ts';
import { ConnectionSet } from '../../src/net/connection-set.ts';
import type { FlushSet } from '../../src/net/flush-set.ts';
import type { AcceptTransport } from '../../src/net/transport.ts';
import { ClientRegistry } from './client-registry.ts';
import { type ConnectionDeps, MqttConnection } from './connection.ts';
import { MessageView } from './message-view.ts';
import { PublishFields } from './publish-packet.ts';
import type { MqttSettings } from './settings.ts';
import { type MqttCounters, SysTopics } from './sys-topics.ts';
import { TopicNames } from './topic-name.ts';

/** Ms between ticks: a keep-alive of one second ends within 1.75. */
const TICK_MS = 250;

export interface MqttAcceptorDeps {
  readonly broker: Broker;
  readonly flushSet: FlushSet;
  readonly settings: MqttSettings;
  readonly logger: ProtocolLogger;
  /** Defaults to the operating system's. */
  readonly clock?: Clock;
}

export interface MqttAcceptor {
  readonly accept: AcceptTransport;
  readonly connectionCount: number;
  /** Runs what is due; the acceptor's own timer does it regularly. */
  tick(): void;
  /** Ends every connection (0x8B in 5.0) with its will; delayed ones wait for the next start. */
  closeAll(): Promise<void>;
}

/** Makes the acceptor of one or more MQTT listeners. */
export function createMqttAcceptor(deps: MqttAcceptorDeps): MqttAcceptor {
  return new Acceptor(deps);
}

class Acceptor implements MqttAcceptor {
  readonly accept: AcceptTransport;
  readonly #connections: ConnectionSet<MqttConnection>;
  readonly #clock: Clock;
  readonly #registry: ClientRegistry;
  readonly #sys: SysTopics;
  readonly #counters: MqttCounters;

  constructor(deps: MqttAcceptorDeps) {
    const { broker, flushSet, settings, logger } = deps;
    const registry = new ClientRegistry(logger);
    this.#connections = new ConnectionSet<MqttConnection>(
      () => this.tick(),
      TICK_MS,
      () => registry.hasWaitingWills,
    );
    this.#clock = deps.clock ?? systemClock;
    this.#registry = registry;
    this.#counters = {
      received: 0,
      sent: 0,
      tooLarge: 0,
      bytesReceived: 0,
      bytesSent: 0,
      connectionCount: 0,
      connectionsTotal: 0,
    };
    this.#sys = new SysTopics(broker, settings, this.#counters);
    const connectionDeps: ConnectionDeps = {
      broker,
      flushSet,
      settings,
      logger,
      clock: this.#clock,
      arena: new MessageArena(),
      names: new TopicNames(),
      fields: new PublishFields(),
      view: new MessageView(broker.formats),
      registry,
      sys: this.#sys,
      counters: this.#counters,
      authSecret: Buffer.from(broker.random.bytes(32)),
      onEnded: (connection) => this.#remove(connection),
    };
    this.accept = (transport) => {
      const connection = new MqttConnection(transport, connectionDeps);
      this.#connections.add(connection);
      this.#counters.connectionCount = this.#connections.size;
      this.#counters.connectionsTotal += 1;
      return connection;
    };
    registry.restoreWills(broker, this.#clock.wallMs());
    if (registry.hasWaitingWills) this.#connections.wake();
    broker.addPressureListener(this.#connections);
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  tick(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const connection of this.#connections) connection.tick(nowMs);
    const wallMs = this.#clock.wallMs();
    this.#registry.tick(wallMs);
    this.#sys.tick(wallMs);
  }

  closeAll(): Promise<void> {
    return this.#connections.closeAll('server is stopping');
  }

  #remove(connection: MqttConnection): void {
    this.#connections.remove(connection);
    this.#counters.connectionCount = this.#connections.size;
  }
}
