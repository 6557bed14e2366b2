/**
 * BEGIN, COMMIT, ABORT: sends and acknowledgements that take effect together.
 *
 * They wait in memory, the messages complete. COMMIT checks what can go wrong before it applies
 * anything, and applies all in one synchronous run, which the store makes one atomic commit.
 */
import type { Message } from '../../src/engine/message.ts';
import type { Delivery } from './subscription.ts';
import type { Outcome } from './deliveries.ts';
import { TRANSACTION_ACTIONS_MAX, TRANSACTION_BYTES_MAX, TRANSACTIONS_MAX } from './limits.ts';
import type { SendPlan } from './send-plan.ts';
import { StompError } from './stomp-error.ts';

/** One thing a transaction does. */
export type Action =
  | { readonly kind: 'send'; readonly plan: SendPlan; readonly message: Message }
  | { readonly kind: 'settle'; readonly delivery: Delivery; readonly outcome: Outcome };

/** The open transactions of a connection. */
export class Transactions {
  readonly #open: Map<string, Action[]>;
  /** Bytes of the messages that wait. */
  #bytes: number;

  constructor() {
    this.#open = new Map();
    this.#bytes = 0;
  }

  /** @throws StompError when it is open already, or too many are */
  begin(name: string): void {
    if (this.#open.has(name)) {
      throw new StompError('Bad transaction', `Transaction already begun: "${name}"\n`);
    }
    if (this.#open.size === TRANSACTIONS_MAX) {
      const detail = `Too many concurrent transactions (limit ${TRANSACTIONS_MAX})`;
      throw new StompError('Transaction limit exceeded', detail);
    }
    this.#open.set(name, []);
  }

  /** @throws StompError without such a transaction, or when it grows too large */
  add(name: string, action: Action): void {
    const actions = this.#actions(name);
    if (actions.length === TRANSACTION_ACTIONS_MAX) {
      const detail = `Too many actions in transaction (limit ${TRANSACTION_ACTIONS_MAX})`;
      throw new StompError('Transaction too large', detail);
    }
    const bytes = this.#bytes + bytesOf(action);
    if (bytes > TRANSACTION_BYTES_MAX) {
      const detail = `Too much in open transactions (limit ${TRANSACTION_BYTES_MAX} bytes)`;
      throw new StompError('Transaction too large', detail);
    }
    this.#bytes = bytes;
    actions.push(action);
  }

  /** Ends a transaction; returns what it was to do. @throws StompError without such a one */
  end(name: string): readonly Action[] {
    const actions = this.#actions(name);
    this.#open.delete(name);
    for (const action of actions) this.#bytes -= bytesOf(action);
    return actions;
  }

  #actions(name: string): Action[] {
    const actions = this.#open.get(name);
    if (actions !== undefined) return actions;
    throw new StompError('Bad transaction', `Invalid transaction identifier: "${name}"\n`);
  }
}

function bytesOf(action: Action): number {
  if (action.kind === 'settle') return 0;
  return action.message.headerBytes + action.message.bodyBytes;
}
