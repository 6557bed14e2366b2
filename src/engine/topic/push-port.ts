import type { RandomSource } from '../../base/random.ts';
import { topicMessageId } from '../queue/message-id.ts';
import type { PushTransport } from './push-transport.ts';
import type { TopicsPort } from './topics-host.ts';

/** What the topics of all vhosts share: the transport, once there is one, and a counter of ids. */
export class PushPort implements TopicsPort {
  readonly random: RandomSource;
  readonly requestTurn: () => void;
  readonly #onOpen: (() => void)[];
  #transport: PushTransport | undefined;
  #epoch: number;
  #messageCounter: number;

  constructor(random: RandomSource, requestTurn: () => void) {
    this.random = random;
    this.requestTurn = requestTurn;
    this.#onOpen = [];
    this.#transport = undefined;
    this.#epoch = 0;
    this.#messageCounter = 0;
  }

  get transport(): PushTransport | undefined {
    return this.#transport;
  }

  /** Gives push subscriptions somebody who makes their attempts; they begin in the next turn. */
  open(transport: PushTransport): void {
    this.#transport = transport;
    for (const listener of this.#onOpen) listener();
    this.requestTurn();
  }

  /** Calls `listener` when a transport comes. */
  onOpen(listener: () => void): void {
    this.#onOpen.push(listener);
  }

  /** The boot counter: ids of two starts differ. */
  startEpoch(epoch: number): void {
    this.#epoch = epoch;
  }

  nextMessageId(): string {
    this.#messageCounter += 1;
    return topicMessageId(this.#epoch, this.#messageCounter);
  }
}
