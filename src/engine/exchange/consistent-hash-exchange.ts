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
 * other destinations' keys when one goes. The price is one hash per destination. Among equal
 * weights the greatest u wins, so there is one logarithm per distinct weight only.
 */
import { BrokerError } from '../../base/errors.ts';
import type { FieldValue } from '../../base/field-value.ts';
import { valueText } from '../field-text.ts';
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
  readonly weight: number;
}

export class ConsistentHashExchange extends Exchange {
  /** Members by weight. */
  readonly #groups = new Map<number, Member[]>();
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
    if (this.#groups.size === 0) return;
    const hash = hashText(this.#hashedText(routingKey, message));
    let best: Member | undefined;
    let bestScore = -1;
    for (const members of this.#groups.values()) {
      const member = highest(members, hash);
      const score = this.#groups.size === 1 ? 0 : scoreOf(hash, member);
      if (score <= bestScore) continue;
      bestScore = score;
      best = member;
    }
    if (best !== undefined) out.push(best.destination);
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
      refuse(`The binding key must be an integer: ${valueText(key)}`);
    } else if (weight < 1) {
      refuse('The binding key must be greater than 0');
    } else if (weight > HASH_WEIGHT_MAX) {
      refuse(`The binding key must not exceed ${HASH_WEIGHT_MAX}`);
    }
  }

  protected override addBinding(binding: Binding): void {
    this.#changeWeight(binding.destination, Number(binding.key));
  }

  protected override removeBinding(binding: Binding): void {
    this.#changeWeight(binding.destination, -Number(binding.key));
  }

  #changeWeight(destination: Destination, change: number): void {
    const old = this.#byDestination.get(destination);
    if (old !== undefined) this.#takeOut(old);
    const weight = (old?.weight ?? 0) + change;
    if (weight <= 0) {
      this.#byDestination.delete(destination);
      return;
    }
    const kind = destination.isExchange ? 'exchange' : 'queue';
    const seed = old?.seed ?? hashText(`${kind}:${destination.name}`);
    const member: Member = { destination, seed, weight };
    this.#byDestination.set(destination, member);
    const group = this.#groups.get(weight);
    if (group === undefined) this.#groups.set(weight, [member]);
    else group.push(member);
  }

  #takeOut(member: Member): void {
    const group = this.#groups.get(member.weight) ?? [];
    const last = group.pop();
    if (last !== member && last !== undefined) group[group.indexOf(member)] = last;
    if (group.length === 0) this.#groups.delete(member.weight);
  }
}

/** The member with the highest hash of (message, member); the first by name on a tie. */
function highest(members: readonly Member[], hash: number): Member {
  let best = members[0] as Member;
  let bestMix = mixHash(hash ^ best.seed);
  for (let i = 1; i < members.length; i++) {
    const member = members[i] as Member;
    const mix = mixHash(hash ^ member.seed);
    if (mix < bestMix || (mix === bestMix && member.destination.name > best.destination.name)) {
      continue;
    }
    best = member;
    bestMix = mix;
  }
  return best;
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
