import { HANDSHAKE_MS_MAX } from '../../src/base/limits.ts';

/** What an operator may set about MQTT; the composition root fills it from the configuration. */
export interface MqttSettings {
  /** Name and version in `$SYS/broker/version`. */
  readonly product: string;
  readonly version: string;
  /** Vhost of user names that name none (`vhost:user`). */
  readonly defaultVhost: string;
  /** Before that one: by the port a client connected to, as text. */
  readonly vhostsByPort: ReadonlyMap<string, string>;
  /** Before that one: by the user name in its verified certificate. */
  readonly vhostsByCertificate: ReadonlyMap<string, string>;
  /** User of clients that give no name; undefined: such clients are refused. */
  readonly anonymousUser: string | undefined;
  /** Bytes. Largest packet a client may send once it has logged in. */
  readonly maxPacketBytes: number;
  /** QoS 1 and 2 publishes of a client that may be under way at once. */
  readonly receiveMaximum: number;
  /** Topic aliases a client may use. */
  readonly topicAliasMax: number;
  /** Topic aliases the server uses at most, however many the client allows. */
  readonly outgoingAliasMax: number;
  /** Seconds. Longer keep-alives, and none at all, are set to it in 5.0; 0: no limit. */
  readonly keepAliveSecondsMax: number;
  /** Seconds. Sessions outlive their connection by this at most; Infinity: for ever. */
  readonly sessionExpirySecondsMax: number;
  /** Deliveries under way to a 3.x client, which cannot say how many it takes. */
  readonly inflightMax: number;
  /**
   * A 3.x client, or a QoS 0 publish, that is refused for lack of rights ends the connection
   * (RabbitMQ's default); else the publish is dropped and acknowledged.
   */
  readonly disconnectsUnauthorized: boolean;
  /** What says it is text must be UTF-8 (Payload Format Indicator 1), else 0x99. */
  readonly checksPayloadFormat: boolean;
  /** Response Information with `{client_id}` and `{username}` in it; undefined: none is given. */
  readonly responseInformation: string | undefined;
  /** Other servers, for Server Reference; undefined: clients are told of none. */
  readonly serverReference: string | undefined;
  /** When clients are sent there: when this server stops, or at once (0x9C, 0x9D). */
  readonly redirect: 'at-stop' | 'temporary' | 'permanent';
  /** Ms from connect to CONNECT accepted. */
  readonly connectTimeoutMs: number;
  /** Seconds between `$SYS` updates. */
  readonly sysIntervalSeconds: number;
}

export const DEFAULT_MQTT_SETTINGS: MqttSettings = {
  product: 'Tributary',
  version: '0',
  defaultVhost: '/',
  vhostsByPort: new Map(),
  vhostsByCertificate: new Map(),
  anonymousUser: undefined,
  maxPacketBytes: 16 * 1024 * 1024,
  receiveMaximum: 1_000,
  topicAliasMax: 16,
  outgoingAliasMax: 16,
  keepAliveSecondsMax: 0,
  sessionExpirySecondsMax: 86_400,
  inflightMax: 1_000,
  disconnectsUnauthorized: true,
  checksPayloadFormat: false,
  responseInformation: 'response/{client_id}',
  serverReference: undefined,
  redirect: 'at-stop',
  connectTimeoutMs: HANDSHAKE_MS_MAX,
  sysIntervalSeconds: 10,
};
