/**
 * What a connection is once its client has logged in: the session with everything that serves it.
 * Made by CONNECT accepted, ended once, with the connection.
 */
import type { Actor } from '../../src/engine/actor.ts';
import type { Session } from '../../src/engine/session/session.ts';
import type { Ticket } from '../../src/engine/ports.ts';
import { readSubscribe, readUnsubscribe } from './client-packets.ts';
import {
  connackProperties,
  deliveryLimits,
  keepAliveSeconds,
  sessionExpirySeconds,
} from './connect-answer.ts';
import type { ConnectPacket, ConnectWill } from './connect-packet.ts';
import { Deliveries, type DeliveryHost, type DeliveryLimits } from './deliveries.ts';
import { Inbound, type InboundHost } from './inbound.ts';
import type { ClientRegistry, RegisteredClient } from './client-registry.ts';
import { writeSuback, writeUnsuback } from './packet-writer.ts';
import type { SessionConsumer } from './session-consumer.ts';
import type { PropertyValues } from './spec/properties.ts';
import { Subscribing, type SubscribingHost } from './subscribing.ts';
import type { SysTopics } from './sys-topics.ts';

/** What a session needs of its connection. */
export interface ClientSessionHost extends DeliveryHost, InboundHost, RegisteredClient {
  readonly registry: ClientRegistry;
  readonly sys: SysTopics;
  /** A queue was deleted under it that it cannot do without. */
  lost(text: string): void;
}

export class ClientSession implements SubscribingHost {
  readonly actor: Actor;
  readonly session: Session;
  readonly isPresent: boolean;
  readonly ticket: Ticket;
  readonly limits: DeliveryLimits;
  readonly keepAliveMs: number;
  /** Properties of CONNACK, until it is written. */
  connack: PropertyValues | undefined;
  /** False: no reason strings but in CONNACK and DISCONNECT [MQTT-3.1.2-29]. */
  readonly wantsProblemInfo: boolean;
  readonly deliveries: Deliveries;
  readonly subscribing: Subscribing;
  isDelivering: boolean;
  will: ConnectWill | undefined;
  readonly #host: ClientSessionHost;
  /** Made by the first publish: most clients of many only listen. */
  #inbound: Inbound | undefined;

  /**
   * Opens the session; an older connection of the client id is ended first.
   *
   * @throws BrokerError ACCESS_REFUSED
   */
  constructor(host: ClientSessionHost, actor: Actor, connect: ConnectPacket) {
    const { vhost } = actor;
    const { settings, registry, broker } = host;
    const isNameless = connect.clientId === '';
    const clientId = isNameless ? assignedId(broker.random.bytes(12)) : connect.clientId;
    const { sessions } = vhost;
    sessions.authorize(actor, clientId);
    registry.evict(vhost.name, clientId);
    registry.checkConnection(actor);
    const wasKept = sessions.find(clientId)?.isPersistent === true;
    const isResumed = !connect.isCleanStart && wasKept;
    registry.settleWill(vhost.name, clientId, isResumed, broker.clock.wallMs());
    const cleanStart = connect.isCleanStart;
    const expiryMs = sessionExpirySeconds(connect, settings) * 1000;
    const opened = sessions.open(actor, { clientId, cleanStart, expiryMs });
    this.actor = actor;
    this.session = opened.session;
    this.isPresent = opened.isPresent;
    this.limits = deliveryLimits(connect, settings);
    this.keepAliveMs = keepAliveSeconds(connect, settings) * 1500;
    this.connack = connackProperties(connect, settings, { clientId, userName: actor.user.name });
    this.wantsProblemInfo = connect.properties.requestProblemInfo !== 0;
    this.isDelivering = false;
    this.will = connect.will;
    this.#host = host;
    this.#inbound = undefined;
    this.deliveries = new Deliveries(host, this.session, sessions, this.limits);
    this.subscribing = new Subscribing(this);
    this.#start();
    actor.user.connectionCount += 1;
    registry.add(vhost.name, clientId, host);
    registry.keepWill(actor, clientId, connect.will);
    // CONNACK says that the session is there, or gone, and that the will is kept.
    const isKept = this.session.isPersistent || wasKept || connect.will !== undefined;
    this.ticket = isKept ? broker.ticket : 0;
  }

  /** @throws BrokerError when a queue may not be read, or is another's; nothing is left behind */
  #start(): void {
    const { vhost, connectionId } = this.actor;
    try {
      this.subscribing.start();
    } catch (error) {
      this.subscribing.stop();
      vhost.sessions.disconnected(this.session);
      vhost.connectionClosed(connectionId);
      throw error;
    }
  }

  get inbound(): Inbound {
    this.#inbound ??= new Inbound(this.#host, this.actor, this.session, this.limits.version);
    return this.#inbound;
  }

  get broker(): ClientSessionHost['broker'] {
    return this.#host.broker;
  }

  get outbound(): ClientSessionHost['outbound'] {
    return this.#host.outbound;
  }

  get view(): ClientSessionHost['view'] {
    return this.#host.view;
  }

  get sys(): SysTopics {
    return this.#host.sys;
  }

  /** CONNACK is written: what was under way goes first, then what waits. */
  begin(): void {
    this.connack = undefined;
    this.deliveries.resendReleases();
    this.isDelivering = true;
    this.subscribing.wake();
  }

  onSubscribe(buf: Buffer, start: number, end: number): void {
    const { version, packetBytesMax } = this.limits;
    const packet = readSubscribe(version, buf, start, end);
    const { packetId } = packet;
    const codes: number[] = [];
    const replay = this.subscribing.subscribe(packet, codes);
    this.#afterCommit(this.#isKept, () => {
      writeSuback(this.outbound, version, packetId, codes, undefined, packetBytesMax);
      replay();
    });
  }

  onUnsubscribe(buf: Buffer, start: number, end: number): void {
    const { version, packetBytesMax } = this.limits;
    const packet = readUnsubscribe(version, buf, start, end);
    const { packetId } = packet;
    // The queue of a share goes with its last member.
    const isKept = this.#isKept;
    const codes = this.subscribing.unsubscribe(packet);
    this.#afterCommit(isKept, () => {
      writeUnsuback(this.outbound, version, packetId, codes, undefined, packetBytesMax);
    });
  }

  /**
   * The login has other rights than before: what it has by now it must still be allowed.
   *
   * @throws BrokerError ACCESS_REFUSED, NOT_ALLOWED
   */
  recheckRights(): void {
    const { actor, session, will } = this;
    const { user, vhost } = actor;
    this.broker.access.authorizeVhost(user, vhost.name);
    vhost.sessions.authorize(actor, session.clientId);
    vhost.sessions.reauthorize(actor, session);
    this.#host.registry.keepWill(actor, session.clientId, will);
  }

  ownDelivered(): void {
    this.subscribing.ownDelivered();
  }

  ownQueueDrained(): void {
    if (this.subscribing.hasShared) this.subscribing.wake();
  }

  consumerCancelled(consumer: SessionConsumer): void {
    const { subscription } = consumer;
    if (subscription === undefined) this.#host.lost('the session was deleted');
    else this.#host.lost(`the queue of ${subscription.filter} was deleted`);
  }

  /** Something of the subscriptions is on disk. */
  get #isKept(): boolean {
    return this.session.isPersistent || this.subscribing.hasShared;
  }

  /** Runs `reply` once what the session keeps is on disk. */
  #afterCommit(isKept: boolean, reply: () => void): void {
    this.broker.hold(isKept ? this.broker.ticket : 0, () => {
      if (this.isDelivering) reply();
    });
  }

  /** The connection is gone. `leavesWill`: without a DISCONNECT that says otherwise. */
  end(leavesWill: boolean): void {
    const { actor, session, will } = this;
    const { vhost } = actor;
    const { registry, broker } = this.#host;
    this.isDelivering = false;
    this.subscribing.stop();
    this.deliveries.giveBack();
    registry.remove(vhost.name, session.clientId, this.#host);
    actor.user.connectionCount -= 1;
    const { expiryMs } = session;
    vhost.sessions.disconnected(session);
    vhost.connectionClosed(actor.connectionId);
    if (will === undefined) return;
    if (!leavesWill) {
      registry.forgetWill(actor, session.clientId);
      return;
    }
    const delayMs = Math.min(will.delaySeconds * 1000, expiryMs);
    registry.leaveWill(actor, session.clientId, will, delayMs, broker.clock.wallMs());
  }
}

function assignedId(random: Uint8Array): string {
  return `auto-${Buffer.from(random).toString('hex')}`;
}
