/**
 * x-consistent-hash: one destination per message, chosen by a hash; the binding key is a weight.
 *
 * Weighted rendezvous hashing: destination d scores -weight(d) / ln(u) where u in (0, 1) is a hash
 * of (message, d); the highest score wins. A destination's share is exactly its share of the total
 * weight in expectation, whatever the weights; a new destination only takes keys over, and one
 * that goes only gives its own away. Order of binding and restarts do not matter.
 *
 * Rejected: a ring of points, whose shares are only as even as it has points (weights of 1 need a
 * hundred each, a weight of 10,000 a million), and jump hashing over weight buckets, which moves
 * other destinations' keys when one goes. The price is O(destinations) per routing key not cached.
 */
import { BrokerError } from '../../base/errors.ts';
import type { FieldValue } from '../../base/field-value.ts';
import type { CommonProperties } from '../ports.ts';
import { canonicalValue } from './argument-identity.ts';
import {
  Exchange,
  type Binding,
  type Destination,
  type ExchangeOptions,
  type RoutedMessage,
} from './exchange.ts';
import { hashText, mixHash } from './key-hash.ts';
import { HASH_WEIGHT_MAX } from './topology-limits.ts';

interface Member {
  readonly destination: Destination;
  readonly seed: number;
  /** Sum over its bindings. */
  weight: number;
}

export class ConsistentHashExchange extends Exchange {
  readonly #members: Member[] = [];
  readonly #byDestination = new Map<Destination, Member>();
  readonly #header: string | undefined;
  readonly #property: string | undefined;

  constructor(type: string, options: ExchangeOptions) {
    super(type, options);
    this.#header = textOf(options.arguments.get('hash-header'));
    this.#property = textOf(options.arguments.get('hash-property'));
  }

  override get needsMessage(): boolean {
    return this.#header !== undefined || this.#property !== undefined;
  }

  override get matchesEachKey(): boolean {
    return false;
  }

  override match(routingKey: string, message: RoutedMessage | undefined, out: Destination[]): void {
    const members = this.#members;
    let best = members[0];
    if (best === undefined) return;
    if (members.length > 1) {
      const hash = hashText(this.#hashedText(routingKey, message));
      let bestScore = -1;
      for (let i = 0; i < members.length; i++) {
        const member = members[i] as Member;
        const score = scoreOf(hash, member);
        if (score <= bestScore) continue;
        bestScore = score;
        best = member;
      }
    }
    out.push(best.destination);
  }

  #hashedText(routingKey: string, message: RoutedMessage | undefined): string {
    if (this.#header !== undefined) {
      return headerText(message?.headers()?.get(this.#header));
    }
    if (this.#property !== undefined) {
      return message === undefined ? '' : propertyText(message.properties(), this.#property);
    }
    return routingKey;
  }

  protected override validateBinding(_destination: Destination, key: string): void {
    const weight = /^[+-]?\d+$/.test(key) ? Number(key) : undefined;
    if (weight === undefined) {
      refuse(`The binding key must be an integer: <<"${key}">>`);
    } else if (weight < 1) {
      refuse('The binding key must be greater than 0');
    } else if (weight > HASH_WEIGHT_MAX) {
      refuse(`The binding key must not exceed ${HASH_WEIGHT_MAX}`);
    }
  }

  protected override addBinding(binding: Binding): void {
    const { destination } = binding;
    const weight = Number(binding.key);
    const member = this.#byDestination.get(destination);
    if (member !== undefined) {
      member.weight += weight;
      return;
    }
    const kind = destination.isExchange ? 'exchange' : 'queue';
    const added: Member = { destination, seed: hashText(`${kind}:${destination.name}`), weight };
    this.#byDestination.set(destination, added);
    this.#members.push(added);
  }

  protected override removeBinding(binding: Binding): void {
    const member = this.#byDestination.get(binding.destination);
    if (member === undefined) return;
    member.weight -= Number(binding.key);
    if (member.weight > 0) return;
    this.#byDestination.delete(binding.destination);
    this.#members.splice(this.#members.indexOf(member), 1);
  }
}

/** 2^32: hashes become numbers in (0, 1) by (hash + 0.5) / HASH_RANGE. */
const HASH_RANGE = 4_294_967_296;

function scoreOf(hash: number, member: Member): number {
  const unit = (mixHash(hash ^ member.seed) + 0.5) / HASH_RANGE;
  return -member.weight / Math.log(unit);
}

function headerText(value: FieldValue | undefined): string {
  if (value === undefined) return '';
  if (typeof value === 'string') return value;
  return canonicalValue(value);
}

function propertyText(properties: CommonProperties, name: string): string {
  switch (name) {
    case 'message_id':
      return properties.messageId ?? '';
    case 'correlation_id':
      return properties.correlationId ?? '';
    default:
      return String(properties.timestampSeconds ?? '');
  }
}

function textOf(value: FieldValue | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function refuse(text: string): never {
  throw new BrokerError('PRECONDITION_FAILED', text);
}
