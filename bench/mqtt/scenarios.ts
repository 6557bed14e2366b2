/** The side-by-side scenarios as data; README.md explains how they are run. */
import type { MqttLoadOptions } from './load.ts';

export type PeerKind = 'mosquitto' | 'rabbitmq';

export interface MqttScenario {
  readonly name: string;
  readonly title: string;
  readonly load: Partial<MqttLoadOptions>;
  /** Ours / this peer that we want at least. */
  readonly target: { readonly peer: PeerKind; readonly ratio: number } | undefined;
}

/** QoS 1, 256 B, sessions that stay; MQTT 5, so that clients say how much they take at a time. */
const PERSISTENT: Partial<MqttLoadOptions> = {
  version: 5,
  qos: 1,
  subscribeQos: 1,
  sizeBytes: 256,
  isPersistent: true,
  window: 100,
  receiveMaximum: 1_000,
};

export const MQTT_SCENARIOS: readonly MqttScenario[] = [
  {
    name: 'qos0-16',
    title: 'QoS 0, 16 B, 1:1',
    load: { sizeBytes: 16 },
    target: { peer: 'mosquitto', ratio: 1 },
  },
  {
    name: 'qos1-clean',
    title: 'QoS 1, 16 B, 1:1, 100 in flight, clean-session subscriber',
    load: { qos: 1, subscribeQos: 1, sizeBytes: 16, window: 100 },
    target: { peer: 'mosquitto', ratio: 1 },
  },
  {
    name: 'qos2-clean',
    title: 'QoS 2, 16 B, 1:1, 20 in flight, clean-session subscriber',
    load: { qos: 2, sizeBytes: 16, window: 20 },
    target: undefined,
  },
  {
    name: 'fanout-500',
    title: 'QoS 0, 16 B, 1 publisher, 500 subscribers (deliveries)',
    load: { sizeBytes: 16, subscribers: 500, lagMax: 200 },
    target: { peer: 'mosquitto', ratio: 0.8 },
  },
  {
    name: 'fan-in-50',
    title: 'QoS 1, 16 B, 50 publishers with 10 in flight, 1 subscriber',
    load: { qos: 1, subscribeQos: 1, sizeBytes: 16, publishers: 50, window: 10 },
    target: undefined,
  },
  {
    name: 'persistent-1x1',
    title: 'QoS 1, 256 B, persistent session, 1:1, 100 in flight',
    load: PERSISTENT,
    target: { peer: 'rabbitmq', ratio: 3 },
  },
  {
    name: 'persistent-10x10',
    title: 'QoS 1, 256 B, persistent sessions, 10:10 over 10 topics, 100 in flight each',
    load: { ...PERSISTENT, publishers: 10, subscribers: 10, topics: 10 },
    target: { peer: 'rabbitmq', ratio: 3 },
  },
];
