/** A CMQ topic: a durable exchange of its name, what CMQ knows of it, and its subscriptions. */
import type { Exchange } from '../exchange/exchange.ts';
import type { ResourceTag } from '../cmq/resource-tags.ts';
import type { Subscription } from './subscription.ts';
import { TopicCounters } from './topic-counters.ts';
import type { TopicTrace } from './topic-trace.ts';

/** 1: by tags, 2: by routing key. */
export type FilterType = 1 | 2;

/** Seconds that an undelivered message may live; without a wish, the most. */
export const TOPIC_RETENTION_RANGE = { min: 60, max: 86_400 } as const;

/**
 * Bytes. Bodies that one publish may multiply so that each subscription's copy has a header of its
 * own. Copies that share one are in memory and on disk once, however many there are: without this a
 * message of 1 MiB would take 500 MiB where it has 500 subscriptions.
 */
export const MARKED_COPY_BYTES_MAX = 16 * 1024 * 1024;

/** What a caller decides. */
export interface TopicOptions {
  readonly filterType: FilterType;
  /** Bytes of a body published over CMQ. */
  readonly maxMsgSize: number;
  /** How long an undelivered message lives. */
  readonly msgRetentionSeconds: number;
  readonly trace: boolean;
  readonly tags: readonly ResourceTag[];
}

/** What may change later. */
export type TopicChanges = Partial<Omit<TopicOptions, 'filterType'>>;

/** What is persisted of a topic. */
export interface TopicRecord extends TopicOptions {
  /** `topic-...`. */
  readonly id: string;
  /** User that made it. */
  readonly owner: string;
  readonly createdAtMs: number;
  readonly modifiedAtMs: number;
}

export class Topic {
  readonly name: string;
  readonly exchange: Exchange;
  /** By name in lower case. */
  readonly subscriptions: Map<string, Subscription>;
  readonly counters: TopicCounters;
  readonly trace: TopicTrace;
  #record: TopicRecord;

  constructor(name: string, exchange: Exchange, record: TopicRecord, trace: TopicTrace) {
    this.name = name;
    this.exchange = exchange;
    this.subscriptions = new Map();
    this.counters = new TopicCounters();
    this.trace = trace;
    trace.isOn = record.trace;
    this.#record = record;
  }

  get record(): TopicRecord {
    return this.#record;
  }

  set record(record: TopicRecord) {
    this.#record = record;
    this.trace.isOn = record.trace;
  }

  /** Whatever its case. */
  subscription(name: string): Subscription | undefined {
    return this.subscriptions.get(name.toLowerCase());
  }

  /** Somebody might get what is published: a subscription, or what another protocol bound. */
  get hasSubscribers(): boolean {
    if (this.subscriptions.size > 0) return true;
    for (const { destination } of this.exchange.bindings()) {
      if (destination.isHidden !== true) return true;
    }
    return false;
  }

  /** True when the copies of a body of that size name their subscription. */
  marksCopies(bodyBytes: number): boolean {
    return (this.subscriptions.size - 1) * bodyBytes <= MARKED_COPY_BYTES_MAX;
  }

  /** Ms from its publish that a message may wait for a subscriber. */
  get lifeMs(): number {
    return this.record.msgRetentionSeconds * 1_000;
  }

  /** Messages that subscriptions are to be given still; one of two subscriptions counts twice. */
  get pendingCount(): number {
    let count = 0;
    for (const subscription of this.subscriptions.values()) count += subscription.pendingCount;
    return count;
  }
}
