/**
 * One load run against any MQTT broker: subscribers subscribe, publishers run for a time, stop and
 * wait for their acknowledgements, and then what arrived is counted against what should have:
 *
 *     published x subscribers of a topic = delivered (first time) + missing
 */
import { type Measured, measure, percentiles, sleep, sum } from '../load/measure.ts';
import type { CommonResult } from '../load/report.ts';
import { DEFAULT_LINK, Link, type LinkOptions } from './link.ts';
import type { Qos, Version } from './packets.ts';
import { Publisher } from './publisher.ts';
import { Subscriber } from './subscriber.ts';

export interface MqttLoadOptions {
  /** mqtt://user:password@host:port */
  readonly url: string;
  readonly version: Version;
  readonly publishers: number;
  readonly subscribers: number;
  /**
   * Published to round robin. With more topics than subscribers each subscriber takes its share;
   * with fewer, each topic has several subscribers: fan-out.
   */
  readonly topics: number;
  readonly qos: Qos;
  /** Of the subscriptions; the QoS of a delivery is the lower one. */
  readonly subscribeQos: Qos;
  /** Exchanges a publisher has open at a time (QoS 1 and 2). */
  readonly window: number;
  /** Messages on their way to the slowest of the subscribers together; 0 for no limit. */
  readonly lagMax: number;
  readonly sizeBytes: number;
  /** Subscribers keep their session: clean start off, no end while the run lasts. */
  readonly isPersistent: boolean;
  /** MQTT 5: unacknowledged messages to a subscriber at a time; 0 for the broker's default. */
  readonly receiveMaximum: number;
  /** One `$share` group of all subscribers. */
  readonly isShared: boolean;
  /** Messages per second over all publishers; 0 for as many as possible. */
  readonly rate: number;
  readonly warmupSeconds: number;
  readonly durationSeconds: number;
  /** Per publisher; Infinity for no limit but time. */
  readonly maxMessages: number;
  readonly isStamped: boolean;
  /** Process of the broker; 0 to look for the one that listens on the URL's port. */
  readonly serverPid: number;
}

export const DEFAULT_MQTT_LOAD: MqttLoadOptions = {
  url: 'mqtt://guest:guest@127.0.0.1:1883',
  version: 4,
  publishers: 1,
  subscribers: 1,
  topics: 1,
  qos: 0,
  subscribeQos: 2,
  window: 100,
  lagMax: 20_000,
  sizeBytes: 16,
  isPersistent: false,
  receiveMaximum: 0,
  isShared: false,
  rate: 0,
  warmupSeconds: 1,
  durationSeconds: 10,
  maxMessages: Infinity,
  isStamped: false,
  serverPid: 0,
};

export interface MqttLoadResult extends CommonResult {
  /** Should have arrived and did not; with QoS 0 a broker may drop. */
  readonly missing: number;
}

/** Nothing arrives for so long: what is missing stays missing. */
const QUIET_MS = 2_000;
/** Connections opened at a time. */
const OPEN_AT_ONCE = 50;

interface Cast {
  readonly publishers: Publisher[];
  readonly subscribers: Subscriber[];
  readonly links: Link[];
  /** Deliveries that one publish makes. */
  readonly fanout: number;
  delivered: number;
}

/** Runs one load. Rejects when a connection fails on the way. */
export async function runMqttLoad(options: MqttLoadOptions): Promise<MqttLoadResult> {
  const prefix = `bench/${process.pid}-${Date.now().toString(36)}`;
  const topics = topicNames(prefix, options.topics);
  const cast: Cast = {
    publishers: [],
    subscribers: [],
    links: [],
    fanout: fanoutOf(options),
    delivered: 0,
  };
  try {
    await openSubscribers(cast, topics, prefix, options);
    await openPublishers(cast, topics, prefix, options);
    const { publishers, subscribers, links } = cast;
    const port = Number(new URL(options.url).port || 1883);
    const measured = await measure(
      { publishers, receivers: subscribers, links },
      { ...options, port },
    );
    for (const publisher of cast.publishers) publisher.stop();
    await Promise.all(cast.publishers.map((publisher) => publisher.settle(30_000)));
    await untilDelivered(cast);
    const failure = cast.links.find((link) => link.failure !== undefined)?.failure;
    if (failure !== undefined) throw failure;
    return summarize(cast, measured, options);
  } finally {
    await Promise.all(cast.links.map((link) => link.close()));
    if (options.isPersistent) await endSessions(prefix, options);
  }
}

function fanoutOf(options: MqttLoadOptions): number {
  if (options.subscribers === 0) return 0;
  if (options.isShared || options.topics >= options.subscribers) return 1;
  if (options.subscribers % options.topics !== 0) {
    throw new Error('the number of subscribers must be a multiple of the number of topics');
  }
  return options.subscribers / options.topics;
}

function topicNames(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, at) => `${prefix}/${String(at).padStart(5, '0')}`);
}

function subscriberLink(prefix: string, index: number, options: MqttLoadOptions): LinkOptions {
  return {
    ...DEFAULT_LINK,
    url: options.url,
    version: options.version,
    clientId: `${prefix.replace('/', '-')}-s${index}`,
    isClean: !options.isPersistent,
    sessionExpirySeconds: options.isPersistent ? 3600 : 0,
    receiveMaximum: options.receiveMaximum,
  };
}

async function openSubscribers(
  cast: Cast,
  topics: readonly string[],
  prefix: string,
  options: MqttLoadOptions,
): Promise<void> {
  await eachAtOnce(options.subscribers, async (index) => {
    const link = await Link.open(subscriberLink(prefix, index, options));
    cast.links.push(link);
    const subscriber = new Subscriber(link, {
      isStamped: options.isStamped,
      onProgress: () => wakePublishers(cast),
    });
    cast.subscribers.push(subscriber);
    const own =
      topics.length >= options.subscribers
        ? topics.filter((_, at) => at % options.subscribers === index)
        : [topics[index % topics.length]!];
    const filters = options.isShared ? topics.map((topic) => `$share/bench/${topic}`) : own;
    await link.subscribe(filters, options.subscribeQos);
  });
}

async function openPublishers(
  cast: Cast,
  topics: readonly string[],
  prefix: string,
  options: MqttLoadOptions,
): Promise<void> {
  await eachAtOnce(options.publishers, async (index) => {
    const link = await Link.open({
      ...DEFAULT_LINK,
      url: options.url,
      version: options.version,
      clientId: `${prefix.replace('/', '-')}-p${index}`,
    });
    cast.links.push(link);
    const turn = index % topics.length;
    const publisher = new Publisher(link, {
      index,
      qos: options.qos,
      topics: [...topics.slice(turn), ...topics.slice(0, turn)],
      sizeBytes: options.sizeBytes,
      window: options.qos === 0 ? 0 : options.window,
      rate: options.rate / options.publishers,
      isStamped: options.isStamped,
      maxMessages: options.maxMessages,
      room: () => roomIn(cast, options.lagMax),
    });
    cast.publishers.push(publisher);
  });
}

/** How many more messages may be on their way. */
function roomIn(cast: Cast, lagMax: number): number {
  if (lagMax === 0 || cast.fanout === 0) return Infinity;
  const published = sum(cast.publishers, (one) => one.published);
  return lagMax - (published - Math.floor(cast.delivered / cast.fanout));
}

function wakePublishers(cast: Cast): void {
  cast.delivered = sum(cast.subscribers, (one) => one.delivered);
  for (const publisher of cast.publishers) publisher.wake();
}

function missingOf(cast: Cast): number {
  const expected = sum(cast.publishers, (one) => one.published - one.refused) * cast.fanout;
  return expected - sum(cast.subscribers, (one) => one.delivered - one.redelivered);
}

async function untilDelivered(cast: Cast): Promise<void> {
  let missing = missingOf(cast);
  let changedAtMs = performance.now();
  while (missing > 0 && performance.now() - changedAtMs < QUIET_MS) {
    await sleep(10);
    const now = missingOf(cast);
    if (now !== missing) changedAtMs = performance.now();
    missing = now;
  }
}

/** Sessions that were to be kept are ended by a clean start. */
async function endSessions(prefix: string, options: MqttLoadOptions): Promise<void> {
  await eachAtOnce(options.subscribers, async (index) => {
    const clean = { ...subscriberLink(prefix, index, options), isClean: true };
    const link = await Link.open({ ...clean, sessionExpirySeconds: 0 });
    await link.close();
  });
}

function summarize(cast: Cast, measured: Measured, options: MqttLoadOptions): MqttLoadResult {
  return {
    seconds: measured.seconds,
    publishedPerSecond: measured.published / measured.seconds,
    confirmedPerSecond: measured.confirmed / measured.seconds,
    deliveredPerSecond: measured.delivered / measured.seconds,
    published: sum(cast.publishers, (one) => one.published),
    confirmed: sum(cast.publishers, (one) => one.confirmed),
    refused: sum(cast.publishers, (one) => one.refused),
    delivered: sum(cast.subscribers, (one) => one.delivered),
    redelivered: sum(cast.subscribers, (one) => one.redelivered),
    missing: missingOf(cast),
    outOfOrder: sum(cast.subscribers, (one) => one.outOfOrder),
    latency: options.isStamped
      ? percentiles(cast.subscribers.map((one) => one.latency))
      : undefined,
    confirmLatency:
      options.isStamped && options.qos > 0
        ? percentiles(cast.publishers.map((one) => one.confirmLatency))
        : undefined,
    generatorCores: measured.generatorCores,
    serverCores: measured.serverCores,
    serverResidentBytes: measured.serverResidentBytes,
  };
}

/** Runs `task` for 0 to `count` - 1, some at a time. */
export async function eachAtOnce(
  count: number,
  task: (index: number) => Promise<void>,
  atOnce = OPEN_AT_ONCE,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const index = next;
      next += 1;
      await task(index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, atOnce) }, worker));
}
