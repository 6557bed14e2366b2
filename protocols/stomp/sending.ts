/** SEND and COMMIT: from frames to the queues. */
import { ARENA_MESSAGE_BYTES_MAX, type MessageArena } from '../../src/base/arena.ts';
import type { Actor } from '../../src/engine/actor.ts';
import type { Broker } from '../../src/engine/broker.ts';
import { FORMAT_AMQP, Message } from '../../src/engine/message.ts';
import { messageAt } from '../../src/engine/message-at.ts';
import { PUBLISH_DURABLE, PUBLISH_REJECTED, type Route } from '../../src/engine/publish.ts';
import type { Deliveries } from './deliveries.ts';
import type { Frame } from './frame.ts';
import type { Receipts } from './receipts.ts';
import type { SendPlan, SendPlans } from './send-plan.ts';
import type { MessageHeaders } from './settings.ts';
import type { Action, Transactions } from './transactions.ts';

interface SendingDeps {
  readonly broker: Broker;
  readonly arena: MessageArena;
  readonly headers: MessageHeaders;
}

/** What of a session sending needs. */
interface SendingParts {
  readonly actor: Actor;
  readonly plans: SendPlans;
  readonly deliveries: Deliveries;
  readonly transactions: Transactions;
  readonly receipts: Receipts;
}

/** The publishing side of one connection. */
export class Sending {
  readonly #deps: SendingDeps;
  readonly #parts: SendingParts;

  constructor(deps: SendingDeps, parts: SendingParts) {
    this.#deps = deps;
    this.#parts = parts;
  }

  /** @param atMs  wall ms at which the frame came; @throws StompError, BrokerError */
  send(frame: Frame, atMs: number): void {
    const { actor, plans, transactions } = this.#parts;
    const plan = plans.planFor(frame);
    const route = this.#routeOf(plan);
    const message = this.#message(plan, frame, atMs);
    if (plan.transaction !== undefined) {
      transactions.add(plan.transaction, { kind: 'send', plan, message });
      return;
    }
    const bits = actor.vhost.publish(route, message);
    if (plan.receipt !== undefined) this.#owe(plan.receipt, bits);
  }

  /**
   * All or nothing: what can fail comes first.
   *
   * @param atMs  wall ms: the messages begin to live now
   * @throws BrokerError
   */
  commit(actions: readonly Action[], atMs: number): void {
    const { actor, deliveries } = this.#parts;
    const routes: (Route | undefined)[] = actions.map((action) =>
      action.kind === 'send' ? this.#routeOf(action.plan) : undefined,
    );
    for (let index = 0; index < actions.length; index += 1) {
      const action = actions[index]!;
      if (action.kind === 'settle') {
        deliveries.settle(action.delivery, action.outcome);
        continue;
      }
      const message = messageAt(action.message, atMs);
      const bits = actor.vhost.publish(routes[index]!, message);
      const { receipt } = action.plan;
      if (receipt !== undefined) this.#owe(receipt, bits);
    }
  }

  /** Declares the queue when it is to be, and resolves the route anew when that went stale. */
  #routeOf(plan: SendPlan): Route {
    const { actor } = this.#parts;
    const { vhost } = actor;
    const { target } = plan;
    const { exchange, key, route } = target;
    if (route !== undefined && vhost.isCurrent(route)) return route;
    const isMissing = route === undefined || !vhost.topology.queues.has(key);
    if (plan.queue !== undefined && isMissing) vhost.declareQueue(actor, key, plan.queue);
    target.route = vhost.resolveRoute(actor, exchange, key);
    return target.route;
  }

  #message(plan: SendPlan, frame: Frame, atMs: number): Message {
    const { arena, headers } = this.#deps;
    const headerBytes = plan.header.length;
    const bodyBytes = frame.bodyEnd - frame.bodyStart;
    const byteCount = headerBytes + bodyBytes;
    let bytes: Buffer;
    let start = 0;
    if (byteCount <= ARENA_MESSAGE_BYTES_MAX) {
      start = arena.reserve(byteCount);
      bytes = arena.slab;
    } else {
      bytes = Buffer.allocUnsafeSlow(byteCount);
    }
    plan.header.copy(bytes, start);
    headers.putBodySize(bytes, start, bodyBytes);
    frame.buf.copy(bytes, start + headerBytes, frame.bodyStart, frame.bodyEnd);
    return new Message(
      plan.target.exchange,
      plan.target.key,
      FORMAT_AMQP,
      bytes,
      start,
      headerBytes,
      bodyBytes,
      plan.isPersistent,
      plan.priority,
      plan.ttlMs,
      atMs,
    );
  }

  #owe(receipt: string, bits: number): void {
    const ticket = (bits & PUBLISH_DURABLE) === 0 ? 0 : this.#deps.broker.ticket;
    this.#parts.receipts.owe(receipt, ticket, (bits & PUBLISH_REJECTED) !== 0);
  }
}
