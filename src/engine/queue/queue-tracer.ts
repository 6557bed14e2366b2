import type { Entry, Message } from '../message.ts';
import type { Consumer } from './consumer.ts';
import type { DeathReason } from './queue.ts';

/** Told what happens to the messages of one queue; each call is of one message. */
export interface QueueTracer {
  /** Published; ready at `readyAtMs` (wall ms), now unless it is delayed. */
  sent(message: Message, id: string, readyAtMs: number): void;
  /**
   * Handed over; `isByHandle`: to nobody's connection.
   * @param consumer undefined when it was asked for by a single get
   */
  received(entry: Entry, id: string, isByHandle: boolean, consumer: Consumer | undefined): void;
  /** Given back, or its lease ended. */
  released(entry: Entry, id: string): void;
  deleted(entry: Entry, id: string): void;
  /** Dropped at the end of its retention. */
  expired(message: Message, id: string | undefined): void;
  /** Dead-lettered, or dropped where there is no dead-letter exchange. */
  died(entry: Entry, id: string, reason: DeathReason): void;
  /** Ready again after it had been deleted. */
  rewound(message: Message): void;
}
