/**
 * The bridge between a CMQ topic and the topic exchange that MQTT devices use: `amq.topic`, or the
 * one that the option `mqtt-exchange` names.
 *
 *     MQTT publish T/a/b --> amq.topic --(T.#)--> Inlet --> topic T, routing key a.b
 *     CMQ or AMQP publish to T, key a.b --> topic T --> Outlet --> amq.topic, routing key T.a.b
 *
 * Each end is an exchange of its own that answers with one destination, and only when somebody
 * beyond it would get the message: what reaches nobody stays unroutable on either side. The
 * destination publishes the message anew under its other address. On that journey neither end
 * answers again, so that nothing echoes; all of it is one synchronous run. What dies in that run
 * because a queue overflows is no echo: it goes its own way, and crosses where that leads.
 *
 * A device names tags of a tag topic by the user property `x-msg-tag`, or by the levels below T.
 *
 * Rights: whoever makes the topic opens the bridge, as whoever makes a binding between exchanges
 * does. Devices need their rights on `amq.topic` alone.
 */
import { textByteLength } from '../../base/byte-writer.ts';
import { EMPTY_TABLE, type FieldTable } from '../../base/field-value.ts';
import { NAME_BYTES_MAX } from '../../base/limits.ts';
import { carbonCopies } from '../dead-letter.ts';
import { Exchange, type Destination, type RoutedMessage } from '../exchange/exchange.ts';
import { route } from '../exchange/router.ts';
import { MESSAGE_TAGS, TagsExchange, tagsOf } from '../exchange/tags-exchange.ts';
import type { Message } from '../message.ts';
import type { Topic } from './topic.ts';
import { tagsHeader } from './topic-message.ts';
import type { TopicsHost } from './topics-host.ts';

/** One end: an exchange, bound on its side, that leads to one destination or to none. */
class BridgeEnd extends Exchange {
  readonly isHidden = true as const;
  readonly #matches: (key: string, message: RoutedMessage | undefined) => boolean;
  readonly #target: Destination;
  readonly #needsMessage: boolean;

  constructor(
    name: string,
    needsMessage: boolean,
    matches: (key: string, message: RoutedMessage | undefined) => boolean,
    publish: (message: Message) => number,
  ) {
    super('x-bridge', {
      name,
      isDurable: false,
      isAutoDelete: false,
      isInternal: true,
      arguments: EMPTY_TABLE,
    });
    this.#matches = matches;
    this.#needsMessage = needsMessage;
    // No queue has that name: to dead-lettering, this is no place where anything died.
    const target = { name: '', isExchange: false, isHidden: true, publish };
    this.#target = target;
  }

  override get needsMessage(): boolean {
    return this.#needsMessage;
  }

  override match(key: string, message: RoutedMessage | undefined, out: Destination[]): void {
    if (this.#matches(key, message)) out.push(this.#target);
  }

  protected override addBinding(): void {}

  protected override removeBinding(): void {}
}

export class TopicBridge {
  readonly #topic: Topic;
  readonly #host: TopicsHost;
  readonly #devices: Exchange;
  readonly #inlet: BridgeEnd;
  readonly #outlet: BridgeEnd;
  readonly #outletKey: string;
  readonly #prefix: string;
  /** The journey on which a message crosses; undefined while none does. */
  #crossing: number | undefined;

  /** @param devices the exchange devices publish to and subscribe at */
  constructor(topic: Topic, devices: Exchange, host: TopicsHost) {
    this.#topic = topic;
    this.#host = host;
    this.#devices = devices;
    this.#prefix = `${topic.name}.`;
    this.#crossing = undefined;
    const hasTags = topic.exchange instanceof TagsExchange;
    this.#inlet = new BridgeEnd(
      topic.name,
      hasTags,
      (key, message) => this.#reachesTopic(key, message),
      (message) => this.#enterTopic(message),
    );
    this.#outlet = new BridgeEnd(
      devices.name,
      false,
      (key, message) => this.#reachesDevices(key, message),
      (message) => this.#enterDevices(message),
    );
    this.#outletKey = hasTags ? '' : '#';
    host.topology.bind(this.#devices, this.#inlet, `${topic.name}.#`, EMPTY_TABLE);
    host.topology.bind(topic.exchange, this.#outlet, this.#outletKey, EMPTY_TABLE);
  }

  /** The topic is going: nothing leads there any more. */
  close(): void {
    const { topology } = this.#host;
    topology.unbind(this.#devices, this.#inlet, `${this.#topic.name}.#`, EMPTY_TABLE);
    topology.unbind(this.#topic.exchange, this.#outlet, this.#outletKey, EMPTY_TABLE);
  }

  #reachesTopic(key: string, message: RoutedMessage | undefined): boolean {
    const own = this.#ownKey(key);
    if (own === undefined) return false;
    return this.#reaches(this.#topic.exchange, own, message && new TaggedView(message, own));
  }

  #reachesDevices(key: string, message: RoutedMessage | undefined): boolean {
    const deviceKey = this.#deviceKey(key);
    return deviceKey !== undefined && this.#reaches(this.#devices, deviceKey, message);
  }

  #reaches(exchange: Exchange, key: string, message: RoutedMessage | undefined): boolean {
    const { publisher, topology } = this.#host;
    if (this.#crossing === publisher.journey) return false;
    const out: Destination[] = [];
    const lookup = (name: string): Exchange | undefined => topology.exchange(name);
    this.#cross(() => route(exchange, [key], message, lookup, out));
    return out.length > 0;
  }

  #enterTopic(message: Message): number {
    const { stamp, publisher } = this.#host;
    const headers = stamp.headersOf(message);
    const keys = [message.routingKey, ...carbonCopies(headers)];
    const key = keys.map((each) => this.#ownKey(each)).find((own) => own !== undefined) ?? '';
    const { exchange } = this.#topic;
    const tags = exchange instanceof TagsExchange ? levelTags(headers, key) : [];
    const set = tags.length > 0 ? [tagsHeader(tags)] : [];
    const entering = stamp.edit(message, set, exchange.name, key);
    return this.#cross(() => publisher.relay(exchange, [key], entering));
  }

  #enterDevices(message: Message): number {
    const { stamp, publisher } = this.#host;
    const headers = stamp.headersOf(message);
    const keys = [message.routingKey, ...carbonCopies(headers)]
      .map((each) => this.#deviceKey(each))
      .filter((each) => each !== undefined);
    const key = keys[0];
    if (key === undefined) return 0;
    const entering = stamp.edit(stamp.stamp(message), [], this.#devices.name, key);
    return this.#cross(() => publisher.relay(this.#devices, keys, entering));
  }

  /** The topic's routing key in one of the devices' exchange; undefined when it is not for T. */
  #ownKey(key: string): string | undefined {
    if (key === this.#topic.name) return '';
    return key.startsWith(this.#prefix) ? key.slice(this.#prefix.length) : undefined;
  }

  /** The reverse; undefined when that is longer than a routing key can be: it does not cross. */
  #deviceKey(key: string): string | undefined {
    const deviceKey = key === '' ? this.#topic.name : this.#prefix + key;
    return textByteLength(deviceKey) > NAME_BYTES_MAX ? undefined : deviceKey;
  }

  #cross<T>(action: () => T): T {
    const outer = this.#crossing;
    this.#crossing = this.#host.publisher.journey;
    try {
      return action();
    } finally {
      this.#crossing = outer;
    }
  }
}

/** A message of a device as the tag filter sees it: the levels below the topic are its tags. */
class TaggedView implements RoutedMessage {
  readonly #message: RoutedMessage;
  readonly #key: string;

  constructor(message: RoutedMessage, key: string) {
    this.#message = message;
    this.#key = key;
  }

  headers(): FieldTable | undefined {
    const headers = this.#message.headers();
    const tags = levelTags(headers, this.#key);
    return tags.length === 0 ? headers : new Map([...(headers ?? []), [MESSAGE_TAGS, tags]]);
  }

  properties(): ReturnType<RoutedMessage['properties']> {
    return this.#message.properties();
  }
}

/** Tags that a device named by the levels of its topic; none when it named them by a property. */
function levelTags(headers: FieldTable | undefined, key: string): readonly string[] {
  if (key === '' || tagsOf(headers).length > 0) return [];
  return key.split('.').filter((tag) => tag !== '');
}
