/**
 * What is on disk of the sessions of one vhost: a definition for each session, for each of its
 * subscriptions and packet ids, and for each will. So each change costs what it changes, whatever
 * else a session has.
 *
 * Only persistent sessions are on disk; of others nothing is done here.
 */
import { definitionKey } from '../definitions.ts';
import type { Json } from '../definitions.ts';
import type { Store } from '../ports.ts';
import type { Session } from './session.ts';
import type { Subscription } from './subscription.ts';

export class SessionRecords {
  readonly #vhostName: string;
  readonly #store: Store;

  constructor(vhostName: string, store: Store) {
    this.#vhostName = vhostName;
    this.#store = store;
  }

  /** Keeps what belongs to the session itself. */
  keep(session: Session): void {
    if (!session.isPersistent) return;
    this.#store.define('session', this.#key(session.clientId), session.toText());
  }

  /** Forgets a session that has ended, and everything of it. */
  forget(session: Session): void {
    if (!session.isPersistent) return;
    const { clientId, subscriptions, received, released } = session;
    this.#store.undefine('session', this.#key(clientId));
    for (const filter of subscriptions.keys()) this.forgetSubscription(session, filter);
    for (const packetId of received) this.forgetReceived(session, packetId);
    for (const packetId of released) this.forgetReleased(session, packetId);
  }

  /** Written when a commit takes it: a packet may have a hundred thousand. */
  keepSubscription({ isPersistent, clientId }: Session, subscription: Subscription): void {
    if (!isPersistent) return;
    const key = this.#key(clientId, subscription.filter);
    this.#store.define('mqtt_subscription', key, () => JSON.stringify(subscription));
  }

  forgetSubscription({ isPersistent, clientId }: Session, filter: string): void {
    if (isPersistent) this.forgetStray(clientId, filter);
  }

  /** Forgets a subscription that no session has. */
  forgetStray(clientId: string, filter: string): void {
    this.#store.undefine('mqtt_subscription', this.#key(clientId, filter));
  }

  keepReceived({ isPersistent, clientId }: Session, packetId: number): void {
    if (!isPersistent) return;
    this.#store.define('mqtt_received', this.#key(clientId, `${packetId}`), '1');
  }

  forgetReceived({ isPersistent, clientId }: Session, packetId: number): void {
    if (isPersistent) this.#store.undefine('mqtt_received', this.#key(clientId, `${packetId}`));
  }

  keepReleased({ isPersistent, clientId }: Session, packetId: number): void {
    if (!isPersistent) return;
    this.#store.define('mqtt_released', this.#key(clientId, `${packetId}`), '1');
  }

  forgetReleased({ isPersistent, clientId }: Session, packetId: number): void {
    if (isPersistent) this.#store.undefine('mqtt_released', this.#key(clientId, `${packetId}`));
  }

  keepWill(clientId: string, will: Json): void {
    this.#store.define('mqtt_will', this.#key(clientId), JSON.stringify(will));
  }

  forgetWill(clientId: string): void {
    this.#store.undefine('mqtt_will', this.#key(clientId));
  }

  #key(...names: string[]): string {
    return definitionKey(this.#vhostName, ...names);
  }
}
