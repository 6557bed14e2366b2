import type { FieldTable } from '../../base/field-value.ts';
import type { Actor } from '../actor.ts';
import type { Entry } from '../message.ts';
import type { Queue } from './queue.ts';

/** The port a protocol implements to be given deliveries: credit on one queue. */
export interface Consumer {
  /** AMQP consumer tag or another protocol's name; unique within its channel only. */
  readonly tag: string;
  /** Deliveries are settled by the hand-over itself. */
  readonly noAck: boolean;
  readonly exclusive: boolean;
  /** Higher ones are served first while they have credit. */
  readonly priority: number;
  readonly arguments: FieldTable;
  /** Limit of unsettled deliveries it was opened with; 0 is none. Streams insist on one. */
  readonly prefetchCount: number;
  readonly actor: Actor;
  /** It has deliveries that are not settled. Asked where a higher priority is to take over. */
  readonly holdsDeliveries?: boolean;
  /** Cheap: called once per delivery. Prefetch left, flow on, socket not full. */
  hasCredit(): boolean;
  /** Hands one entry over, in the turn. Must not throw. The queue settles noAck ones after it. */
  deliver(queue: Queue, entry: Entry): void;
  /** The queue went away or the right to read it: tell the client. */
  cancelled(): void;
}
