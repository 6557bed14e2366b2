import {
  CHANNEL_COUNT_MAX,
  CONSUMER_TIMEOUT_MS_DEFAULT,
  FRAME_BYTES_DEFAULT,
  HANDSHAKE_MS_MAX,
  HEARTBEAT_SECONDS_DEFAULT,
  MESSAGE_BYTES_DEFAULT,
} from '../../src/base/limits.ts';

/** What an operator may set about AMQP; the composition root fills it from the configuration. */
export interface AmqpSettings {
  /** `product` of server-properties; some clients switch behaviour on it. */
  readonly product: string;
  /** `version` of server-properties: like a semantic version, and RabbitMQ-compatible. */
  readonly version: string;
  /** This gateway's own version. */
  readonly gatewayVersion: string;
  /** `cluster_name` of server-properties. */
  readonly clusterName: string;
  /** Our frame_max offer, bytes of a whole frame. */
  readonly frameMaxBytes: number;
  /** Our channel_max offer. */
  readonly channelMax: number;
  /** Our heartbeat offer; the client's answer counts. 0 offers none. */
  readonly heartbeatSeconds: number;
  /** Largest body accepted; larger ones are refused with 406. */
  readonly maxMessageBytes: number;
  /** SASL mechanisms offered, best first. */
  readonly mechanisms: readonly string[];
  /** Users who may log in from this machine only. */
  readonly loopbackUsers: readonly string[];
  /** User that SASL ANONYMOUS logs in as. */
  readonly anonymousUser: string;
  /** Time to settle a delivery of a quorum queue, where neither queue nor consumer says. */
  readonly consumerTimeoutMs: number;
  /** Time from connect to open-ok. */
  readonly handshakeTimeoutMs: number;
  /** Time a peer has to answer our connection.close before the socket is dropped. */
  readonly closeTimeoutMs: number;
}

/** RabbitMQ's values where a client can see them. */
export const DEFAULT_AMQP_SETTINGS: AmqpSettings = {
  product: 'Tributary',
  version: '4.3.6',
  gatewayVersion: '0.0.0',
  clusterName: 'tributary@localhost',
  frameMaxBytes: FRAME_BYTES_DEFAULT,
  channelMax: CHANNEL_COUNT_MAX,
  heartbeatSeconds: HEARTBEAT_SECONDS_DEFAULT,
  maxMessageBytes: MESSAGE_BYTES_DEFAULT,
  mechanisms: ['PLAIN', 'AMQPLAIN'],
  loopbackUsers: ['guest'],
  anonymousUser: 'guest',
  consumerTimeoutMs: CONSUMER_TIMEOUT_MS_DEFAULT,
  handshakeTimeoutMs: HANDSHAKE_MS_MAX,
  closeTimeoutMs: 5_000,
};
