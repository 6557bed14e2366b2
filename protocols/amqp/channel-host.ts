import type { MessageArena } from '../../src/base/arena.ts';
import type { Actor } from '../../src/engine/actor.ts';
import type { Broker } from '../../src/engine/broker.ts';
import type { Outbound } from '../../src/net/outbound.ts';
import type { DeliveryWriter } from './delivery-writer.ts';
import type { Heartbeat } from './heartbeat.ts';
import type { MethodReader } from './method-reader.ts';
import type { AmqpSettings } from './settings.ts';

/** What the client said it understands (client-properties of start-ok). */
export interface ClientCapabilities {
  readonly authenticationFailureClose: boolean;
  readonly consumerCancelNotify: boolean;
  readonly connectionBlocked: boolean;
}

/** What a channel needs of its connection, all of it valid from open-ok on. */
export interface ChannelHost {
  readonly broker: Broker;
  readonly actor: Actor;
  readonly outbound: Outbound;
  readonly writer: DeliveryWriter;
  readonly reader: MethodReader;
  /** Memory for small messages. */
  readonly arena: MessageArena;
  readonly settings: AmqpSettings;
  readonly heartbeat: Heartbeat;
  readonly capabilities: ClientCapabilities;
  /** Wall-clock ms at which the chunk being read arrived. */
  readonly chunkAtMs: number;
  /** The connection published for the first time: back-pressure and alarms now apply to it. */
  becamePublisher(): void;
  /** A basic.get waits for its entry; `getDone` will follow. */
  getWaits(): void;
  getDone(): void;
  /** Monotonic ms by which a delivery made now is to be settled; its channel is looked at then. */
  settleBy(timeoutMs: number): number;
  /** The channel needs its number no more. */
  channelEnded(id: number): void;
}
