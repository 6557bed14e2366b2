import type { RandomSource } from '../../base/random.ts';
import type { QueueNames } from '../cmq/queue-names.ts';
import type { Publisher } from '../publish.ts';
import type { Topology } from '../topology.ts';
import type { VHostQueues } from '../vhost-queues.ts';
import type { PushTransport } from './push-transport.ts';
import type { TopicStamp } from './topic-message.ts';

/** What the broker gives the topics of every vhost. */
export interface TopicsPort {
  readonly random: RandomSource;
  /** Makes the attempts of push subscriptions; undefined until the server has one. */
  readonly transport: PushTransport | undefined;
  onOpen(listener: () => void): void;
  /** Id for a message published to a topic; unique in this data directory. */
  nextMessageId(): string;
  /** Something was settled outside a turn. */
  requestTurn(): void;
}

/** What topics and subscriptions need from their vhost. */
export interface TopicsHost {
  readonly topology: Topology;
  readonly queues: VHostQueues;
  /** Finds queues as CMQ does: whatever their case. */
  readonly queueNames: QueueNames;
  readonly publisher: Publisher;
  readonly stamp: TopicStamp;
  readonly random: RandomSource;
  readonly transport: PushTransport | undefined;
  nowMs(): number;
  newRequestId(): string;
  requestTurn(): void;
}
