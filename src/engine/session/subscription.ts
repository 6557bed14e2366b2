/** What a session asked for with one topic filter. Plain data: it is persisted as it stands. */
export interface Subscription {
  /** As the client wrote it, `$share/GROUP/` included. */
  readonly filter: string;
  /** The filter to match: without `$share/GROUP/`. */
  readonly topicFilter: string;
  /** Group of a shared subscription; undefined for an own one. */
  readonly group?: string;
  /** Queue it consumes beside all others that do: then nothing is matched. Has a group. */
  readonly queue?: string;
  /** Highest QoS to deliver with. */
  readonly qos: 0 | 1 | 2;
  /** Do not deliver what this client published itself. */
  readonly noLocal: boolean;
  /** Keep the RETAIN flag of the publisher. */
  readonly retainAsPublished: boolean;
  /** Subscription identifier, 0 for none. */
  readonly identifier: number;
}

/** True when a client asked for the same once more, as many do with each connection. */
export function isSame(one: Subscription, other: Subscription): boolean {
  return (
    one.filter === other.filter &&
    one.qos === other.qos &&
    one.noLocal === other.noLocal &&
    one.retainAsPublished === other.retainAsPublished &&
    one.identifier === other.identifier
  );
}

/** True when a filter that begins with a wildcard meets a `$` topic [MQTT-4.7.2-1]. */
export function isHiddenFrom(topicFilter: string, topic: string): boolean {
  if (topic.charCodeAt(0) !== 0x24) return false;
  const first = topicFilter.charCodeAt(0);
  return first === 0x23 || first === 0x2b;
}

/** Characters of a filter that cost as much as a level. */
const LEVEL_LENGTH = 256;

/** Levels of a topic filter: what it costs to have it matched. Long ones count as more. */
export function levelsOf(topicFilter: string): number {
  let count = 1 + Math.floor(topicFilter.length / LEVEL_LENGTH);
  for (let at = topicFilter.indexOf('/'); at >= 0; at = topicFilter.indexOf('/', at + 1)) {
    count += 1;
  }
  return count;
}
