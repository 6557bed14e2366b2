/**
 * Messages on their way to one client, and the packet ids they hold.
 *
 *     QoS 0   write, settle
 *     QoS 1   write -------- PUBACK: settle
 *     QoS 2   commit, write - PUBREC: settle + note the id as released, commit, PUBREL - PUBCOMP
 *
 * 1. A message of the session's own queue has a packet id made from its sequence in that queue, so
 *    it has the same one after a crash, and a client that saw it takes it for what it is.
 * 2. A persistent session's QoS 2 message leaves after its own commit: were it lost in a crash, its
 *    sequence and so its id would be another message's, which the client would take for a repeat.
 * 3. QoS 2 from a shared subscription moves into the session's own queue first, in one commit: from
 *    there on it is this client's, whatever happens [MQTT-4.8.2-4], [MQTT-4.8.2-5]. A session that
 *    ends with its connection takes it over with the hand-over.
 * 4. What the client has not acknowledged goes back to its queue, in its place, with the
 *    connection; ids that were released stay with the session.
 * 5. What comes from a queue by name has the subscription's QoS and, with QoS 1, stays that
 *    queue's. A failure in PUBACK or PUBREC rejects it there, and what the client cannot take goes
 *    back.
 * 6. Never more than the client's Receive Maximum is under way [MQTT-3.3.4-9].
 */
import type { Broker } from '../../src/engine/broker.ts';
import { ENTRY_SETTLED, type Entry } from '../../src/engine/message.ts';
import { type Queue, REFUSED } from '../../src/engine/queue/queue.ts';
import type { Session } from '../../src/engine/session/session.ts';
import type { Sessions } from '../../src/engine/session/sessions.ts';
import type { Subscription } from '../../src/engine/session/subscription.ts';
import type { Outbound } from '../../src/net/outbound.ts';
import { protocolError } from './mqtt-errors.ts';
import { MessageView } from './message-view.ts';
import { writeAck } from './packet-writer.ts';
import { OutgoingPublish, publishBytes, writePublish } from './publish-writer.ts';
import { REPLY_DELIVERY, type ReplyLedger } from './reply-ledger.ts';
import { replayFromQueue, replayOf, withoutReplay } from './replay-message.ts';
import { PUBREL, VERSION_5 } from './spec/packets.ts';
import {
  REASON_FAILURE_MIN,
  REASON_PACKET_ID_NOT_FOUND,
  REASON_SUCCESS,
} from './spec/reason-codes.ts';
import type { MqttCounters } from './sys-topics.ts';

/** Packet ids are 1 to this. */
const PACKET_ID_MAX = 65_535;
const NO_IDS: readonly number[] = [];
/** What a topic alias of its own adds to a packet. */
const ALIAS_BYTES = 3;
/** Never added to: what most connections have under way most of the time. */
const NO_ENTRIES = new Map<number, Entry>();
const NO_ORIGINS = new Map<number, Origin>();

/** Where a delivery comes from when that is not the session's own queue. */
interface Origin {
  readonly queue: Queue;
  /** Of the entry: another one tells that its lease is over and another has it. */
  readonly generation: number;
  /** The queue is consumed by its name. */
  readonly isNamed: boolean;
}

/** Packets are written one at a time: one record a version does for all connections. */
const PACKETS = [0, 1, 2, 3, 4, 5].map((version) => new OutgoingPublish(version));

/** What deliveries need of their connection. */
export interface DeliveryHost {
  readonly broker: Broker;
  readonly outbound: Outbound;
  readonly view: MessageView;
  readonly replies: ReplyLedger;
  readonly counters: MqttCounters;
  /** Consumers have credit again. */
  wakeConsumers(): void;
}

/** What the client said at CONNECT. */
export interface DeliveryLimits {
  readonly version: number;
  readonly receiveMaximum: number;
  readonly packetBytesMax: number;
  readonly topicAliasMax: number;
}

export class Deliveries {
  readonly #host: DeliveryHost;
  readonly #session: Session;
  readonly #sessions: Sessions;
  readonly #limits: DeliveryLimits;
  /** QoS 1 awaiting PUBACK, and QoS 2 awaiting PUBREC, by packet id. */
  #unacknowledged: Map<number, Entry>;
  #unreceived: Map<number, Entry>;
  /** Of those that come from shared subscriptions. */
  #origins: Map<number, Origin>;
  readonly #aliases: Map<string, number> | undefined;
  readonly #packet: OutgoingPublish;
  #lastFreeId: number;

  constructor(host: DeliveryHost, session: Session, sessions: Sessions, limits: DeliveryLimits) {
    this.#host = host;
    this.#session = session;
    this.#sessions = sessions;
    this.#limits = limits;
    this.#unacknowledged = NO_ENTRIES;
    this.#unreceived = NO_ENTRIES;
    this.#origins = NO_ORIGINS;
    this.#aliases = limits.topicAliasMax > 0 ? new Map() : undefined;
    this.#packet = PACKETS[limits.version]!;
    this.#lastFreeId = PACKET_ID_MAX;
  }

  /** Room for one more by count; the socket is another matter. */
  get hasRoom(): boolean {
    return this.hasRoomBehind(0);
  }

  /** Room for one more behind `count` that are handed over and not sent yet. */
  hasRoomBehind(count: number): boolean {
    return this.inflightCount + count < this.#limits.receiveMaximum;
  }

  get inflightCount(): number {
    return this.#unacknowledged.size + this.#unreceived.size + this.#session.released.size;
  }

  /**
   * Hands over one entry; false when it went back, for the client takes none so large or its
   * session's queue none at all.
   *
   * @param shared  the subscription whose queue it comes from
   */
  deliver(queue: Queue, entry: Entry, shared: Subscription | undefined): boolean {
    const { view } = this.#host;
    const hasTopic = view.aim(entry.message);
    if (shared?.queue !== undefined) return this.#deliverNamed(queue, entry, shared);
    if (!hasTopic) {
      queue.acknowledge(entry);
      return true;
    }
    const qos = entry.state === ENTRY_SETTLED ? 0 : this.#qosOf(shared);
    if (qos === 2) return this.#deliverExactlyOnce(queue, entry, shared);
    if (qos === 0) {
      this.#write(entry, shared, 0, 0);
      queue.acknowledge(entry);
    } else {
      this.#deliverOnce(queue, entry, shared);
    }
    return true;
  }

  #deliverNamed(queue: Queue, entry: Entry, shared: Subscription): boolean {
    if (shared.qos === 2) return this.#takeOver(queue, entry, shared);
    const packetId = shared.qos === 0 ? 0 : this.#freeId();
    if (!this.#write(entry, shared, shared.qos, packetId)) {
      queue.requeue(entry, true);
      return false;
    }
    if (packetId === 0) queue.acknowledge(entry);
    else this.#await(packetId, queue, entry, shared);
    return true;
  }

  onPuback(packetId: number, reasonCode: number): void {
    const entry = this.#unacknowledged.get(packetId);
    if (entry === undefined) {
      if (this.#unreceived.has(packetId)) throw protocolError('PUBACK for a QoS 2 message');
      return;
    }
    const wasFull = !this.hasRoom;
    this.#unacknowledged.delete(packetId);
    this.#settle(packetId, entry, reasonCode >= REASON_FAILURE_MIN);
    if (wasFull) this.#host.wakeConsumers();
  }

  onPubrec(packetId: number, reasonCode: number): void {
    const entry = this.#unreceived.get(packetId);
    const { replies, broker } = this.#host;
    if (entry === undefined) {
      if (this.#unacknowledged.has(packetId)) throw protocolError('PUBREC for a QoS 1 message');
      if (reasonCode >= REASON_FAILURE_MIN) return;
      const isKnown = this.#session.released.has(packetId);
      const code = isKnown ? REASON_SUCCESS : REASON_PACKET_ID_NOT_FOUND;
      replies.add(PUBREL, packetId, code, isKnown ? this.#ticket() : 0);
      return;
    }
    const wasFull = !this.hasRoom;
    this.#unreceived.delete(packetId);
    const isFailure = reasonCode >= REASON_FAILURE_MIN;
    this.#settle(packetId, entry, isFailure);
    if (isFailure) {
      if (wasFull) this.#host.wakeConsumers();
      return;
    }
    this.#sessions.arrived(this.#session, packetId);
    replies.add(PUBREL, packetId, REASON_SUCCESS, this.#session.isPersistent ? broker.ticket : 0);
  }

  onPubcomp(packetId: number): void {
    const wasFull = !this.hasRoom;
    this.#sessions.completed(this.#session, packetId);
    if (wasFull) this.#host.wakeConsumers();
  }

  /** A QoS 2 delivery whose commit is on disk. */
  onCommitted(packetId: number): void {
    const entry = this.#unreceived.get(packetId);
    if (entry === undefined || !this.#host.view.aim(entry.message)) return;
    if (this.#write(entry, undefined, 2, packetId)) return;
    const wasFull = !this.hasRoom;
    this.#unreceived.delete(packetId);
    this.#settle(packetId, entry, true);
    if (wasFull) this.#host.wakeConsumers();
  }

  /** After a reconnect: PUBREL for what the client has already [MQTT-4.4.0-1]. */
  resendReleases(): void {
    for (const packetId of this.#session.released) {
      const { version, packetBytesMax } = this.#limits;
      writeAck(
        this.#host.outbound,
        version,
        PUBREL,
        packetId,
        REASON_SUCCESS,
        undefined,
        packetBytesMax,
      );
    }
  }

  /** The connection is gone: what was not acknowledged goes back to its queue. */
  giveBack(): void {
    // What QoS 2 has begun it ends, expired or not [MQTT-4.3.3-7], [MQTT-4.3.3-13].
    for (const [packetId, entry] of this.#unreceived) {
      if (this.#isHeld(packetId, entry)) entry.expiresAtMs = Infinity;
    }
    for (const entries of [this.#unacknowledged, this.#unreceived]) {
      for (const [packetId, entry] of entries) {
        if (this.#isHeld(packetId, entry)) this.#queueOf(packetId).requeue(entry, false);
      }
      entries.clear();
    }
    this.#origins.clear();
  }

  #ticket(): number {
    return this.#session.isPersistent ? this.#host.broker.ticket : 0;
  }

  #queueOf(packetId: number): Queue {
    return this.#origins.get(packetId)?.queue ?? this.#session.queue;
  }

  /** False when the lease of a delivery has ended and another has the entry. */
  #isHeld(packetId: number, entry: Entry): boolean {
    const origin = this.#origins.get(packetId);
    return origin === undefined || origin.generation === entry.generation;
  }

  #settle(packetId: number, entry: Entry, isFailure: boolean): void {
    const queue = this.#queueOf(packetId);
    const isHeld = this.#isHeld(packetId, entry);
    const origin = this.#origins.get(packetId);
    this.#origins.delete(packetId);
    if (!isHeld) return;
    if (isFailure && origin?.isNamed === true) {
      queue.reject(entry);
      return;
    }
    if (isFailure && origin === undefined) this.#rejectTaken(entry);
    queue.acknowledge(entry);
  }

  /** What was taken over from a queue by name is rejected there; settling it is the caller's. */
  #rejectTaken(entry: Entry): void {
    const { view, broker } = this.#host;
    if (!view.aim(entry.message) || view.source === undefined) return;
    this.#sessions.rejectFrom(view.source, withoutReplay(broker.formats, entry.message));
  }

  #qosOf(shared: Subscription | undefined): number {
    const { view } = this.#host;
    if (view.replay !== undefined) return view.replay.qos;
    if (shared !== undefined) return Math.min(view.qos, shared.qos);
    const match = this.#session.match(view.topic.text);
    return match.count === 0 ? view.qos : Math.min(view.qos, match.qos);
  }

  #deliverOnce(queue: Queue, entry: Entry, shared: Subscription | undefined): void {
    const packetId = this.#packetIdFor(entry, shared);
    if (!this.#write(entry, shared, 1, packetId)) {
      queue.acknowledge(entry);
      return;
    }
    this.#await(packetId, queue, entry, shared);
  }

  #await(packetId: number, queue: Queue, entry: Entry, shared: Subscription | undefined): void {
    if (this.#unacknowledged === NO_ENTRIES) this.#unacknowledged = new Map();
    this.#unacknowledged.set(packetId, entry);
    if (shared !== undefined) this.#noteOrigin(packetId, queue, entry, shared);
  }

  #deliverExactlyOnce(queue: Queue, entry: Entry, shared: Subscription | undefined): boolean {
    const { isPersistent } = this.#session;
    if (shared !== undefined && isPersistent) return this.#takeOver(queue, entry, shared);
    const packetId = this.#packetIdFor(entry, shared);
    if (this.#unreceived === NO_ENTRIES) this.#unreceived = new Map();
    if (isPersistent) {
      this.#unreceived.set(packetId, entry);
      this.#host.replies.add(REPLY_DELIVERY, packetId, 0, this.#host.broker.ticket);
      return true;
    }
    const isSent = this.#write(entry, shared, 2, packetId);
    if (isSent) this.#unreceived.set(packetId, entry);
    // Nobody else may have what one member was sent, also when its session ends [MQTT-4.8.2-5].
    if (!isSent || shared !== undefined) queue.acknowledge(entry);
    return true;
  }

  /** Moves an entry into the session's own queue, in one commit: from there it is delivered. */
  #takeOver(queue: Queue, entry: Entry, shared: Subscription): boolean {
    const { view, broker } = this.#host;
    const { qos, identifier } = shared;
    const isNamed = shared.queue !== undefined;
    if (isNamed && !this.#fits(entry, shared)) {
      queue.requeue(entry, true);
      return false;
    }
    const isRetained = view.isRetain && shared.retainAsPublished;
    const replay = { qos, isRetained, identifier };
    const { formats } = broker;
    const taken = isNamed
      ? replayFromQueue(formats, entry.message, replay, shared.queue, view.topicFrom(shared.queue))
      : replayOf(formats, entry.message, replay, true);
    if (this.#session.queue.publish(taken) === REFUSED) {
      queue.requeue(entry, false);
      return false;
    }
    queue.acknowledge(entry);
    return true;
  }

  #noteOrigin(packetId: number, queue: Queue, entry: Entry, shared: Subscription): void {
    if (this.#origins === NO_ORIGINS) this.#origins = new Map();
    const isNamed = shared.queue !== undefined;
    this.#origins.set(packetId, { queue, generation: entry.generation, isNamed });
  }

  #packetIdFor(entry: Entry, shared: Subscription | undefined): number {
    const own = (entry.sequence % PACKET_ID_MAX) + 1;
    return shared === undefined && !this.#isInUse(own) ? own : this.#freeId();
  }

  /** An id nobody has; there is one, since what is under way is bounded. */
  #freeId(): number {
    let packetId = this.#lastFreeId;
    do packetId = packetId === 1 ? PACKET_ID_MAX : packetId - 1;
    while (this.#isInUse(packetId));
    this.#lastFreeId = packetId;
    return packetId;
  }

  #isInUse(packetId: number): boolean {
    return (
      this.#unacknowledged.has(packetId) ||
      this.#unreceived.has(packetId) ||
      this.#session.released.has(packetId)
    );
  }

  /** Writes what the view looks at; false when it is larger than the client takes. */
  #write(entry: Entry, shared: Subscription | undefined, qos: number, packetId: number): boolean {
    const { view, outbound, counters } = this.#host;
    const packet = this.#packet;
    const topic = shared?.queue === undefined ? view.topic : view.topicFrom(shared.queue);
    this.#fill(entry, shared, qos, topic.bytes);
    packet.packetId = packetId;
    const newAlias = this.#limits.version === VERSION_5 ? this.#applyAlias(packet, topic.text) : 0;
    const byteCount = writePublish(outbound, packet, this.#limits.packetBytesMax);
    if (byteCount === 0) {
      if (shared?.queue === undefined) counters.tooLarge += 1;
      return false;
    }
    if (newAlias !== 0) this.#aliases!.set(topic.text, newAlias);
    counters.sent += 1;
    counters.bytesSent += byteCount;
    return true;
  }

  /** Whether the client takes what the view looks at, whatever alias it goes out with. */
  #fits(entry: Entry, shared: Subscription): boolean {
    const { view } = this.#host;
    const packet = this.#packet;
    this.#fill(entry, shared, shared.qos, view.topicFrom(shared.queue!).bytes);
    packet.topicAlias = 0;
    const aliasBytes = this.#aliases === undefined ? 0 : ALIAS_BYTES;
    return publishBytes(packet) + aliasBytes <= this.#limits.packetBytesMax;
  }

  /** Fills in the packet but for its identifier and its alias. */
  #fill(entry: Entry, shared: Subscription | undefined, qos: number, topic: Buffer): void {
    const { view, broker } = this.#host;
    const { message } = entry;
    const packet = this.#packet;
    packet.qos = qos;
    // Another member of the group may have had it: from here it goes out for the first time.
    packet.isDup = entry.isRedelivered && shared === undefined;
    packet.topic = topic;
    packet.topicStart = 0;
    packet.topicEnd = topic.length;
    this.#applySubscription(packet, shared);
    packet.payload = message.bytes;
    packet.payloadStart = message.start + message.headerBytes;
    packet.payloadEnd = packet.payloadStart + message.bodyBytes;
    if (this.#limits.version !== VERSION_5) return;
    packet.properties = view.properties;
    packet.propertiesEnd = view.properties.length;
    const nowMs = message.expirationMs < 0 ? 0 : broker.clock.wallMs();
    packet.expirySeconds = MessageView.expirySeconds(message, nowMs);
  }

  #applySubscription(packet: OutgoingPublish, shared: Subscription | undefined): void {
    const { view } = this.#host;
    const { replay } = view;
    if (replay !== undefined && shared?.queue === undefined) {
      packet.isRetain = replay.isRetained;
      packet.subscriptionIds = replay.identifier === 0 ? NO_IDS : [replay.identifier];
    } else if (shared !== undefined) {
      packet.isRetain = view.isRetain && shared.retainAsPublished;
      packet.subscriptionIds = shared.identifier === 0 ? NO_IDS : [shared.identifier];
    } else {
      const match = this.#session.match(view.topic.text);
      packet.isRetain = view.isRetain && match.retainAsPublished;
      packet.subscriptionIds = match.identifiers;
    }
  }

  /** Uses or makes a topic alias; returns the one that is new with this packet, or 0. */
  #applyAlias(packet: OutgoingPublish, topic: string): number {
    const aliases = this.#aliases;
    packet.topicAlias = 0;
    if (aliases === undefined) return 0;
    const known = aliases.get(topic);
    if (known !== undefined) {
      packet.topicAlias = known;
      packet.topicEnd = packet.topicStart;
      return 0;
    }
    if (aliases.size >= this.#limits.topicAliasMax) return 0;
    packet.topicAlias = aliases.size + 1;
    return packet.topicAlias;
  }
}
