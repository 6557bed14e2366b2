/** What the server makes of a CONNECT's wishes, and the CONNACK that says so (3.2.2.3). */
import type { ConnectPacket } from './connect-packet.ts';
import type { DeliveryLimits } from './deliveries.ts';
import type { MqttSettings } from './settings.ts';
import { VARINT_MAX, VERSION_5 } from './spec/packets.ts';
import type { PropertyValues } from './spec/properties.ts';

/** Session Expiry Interval that means never (3.1.2.11.2). */
const NEVER_SECONDS = 0xffff_ffff;
const RECEIVE_MAXIMUM_DEFAULT = 65_535;
/** Bytes. Longer response information (a client id may have 64 KiB) is of no use as a topic. */
const RESPONSE_INFO_BYTES_MAX = 1_024;
/** A client that sets no Maximum Packet Size takes what the protocol allows. */
export const PACKET_BYTES_UNLIMITED = VARINT_MAX + 5;

/** Seconds the session will outlive the connection, capped; Infinity: for ever. */
export function sessionExpirySeconds(connect: ConnectPacket, settings: MqttSettings): number {
  const max = settings.sessionExpirySecondsMax;
  if (connect.version !== VERSION_5) return connect.isCleanStart ? 0 : max;
  return cappedExpiry(connect.properties.sessionExpirySeconds ?? 0, settings);
}

/** A Session Expiry Interval as it is granted. */
export function cappedExpiry(seconds: number, settings: MqttSettings): number {
  return Math.min(seconds === NEVER_SECONDS ? Infinity : seconds, settings.sessionExpirySecondsMax);
}

/** Seconds of keep-alive in force; 0: none. */
export function keepAliveSeconds(connect: ConnectPacket, settings: MqttSettings): number {
  const { keepAliveSecondsMax: max } = settings;
  const wanted = connect.keepAliveSeconds;
  // 3.x clients cannot be told: they keep what they asked for.
  if (connect.version !== VERSION_5 || max === 0) return wanted;
  return wanted === 0 ? max : Math.min(wanted, max);
}

/** What may go to the client. */
export function deliveryLimits(connect: ConnectPacket, settings: MqttSettings): DeliveryLimits {
  const { version, properties } = connect;
  const isV5 = version === VERSION_5;
  return {
    version,
    receiveMaximum: isV5
      ? (properties.receiveMaximum ?? RECEIVE_MAXIMUM_DEFAULT)
      : settings.inflightMax,
    packetBytesMax: properties.maximumPacketBytes ?? PACKET_BYTES_UNLIMITED,
    topicAliasMax: Math.min(properties.topicAliasMaximum ?? 0, settings.outgoingAliasMax),
  };
}

/** Who was accepted. */
export interface Accepted {
  readonly clientId: string;
  readonly userName: string;
}

/** Properties of the CONNACK that accepts. */
export function connackProperties(
  connect: ConnectPacket,
  settings: MqttSettings,
  accepted: Accepted,
): PropertyValues {
  const expiry = sessionExpirySeconds(connect, settings);
  const wantedExpiry = connect.properties.sessionExpirySeconds ?? 0;
  const grantedExpiry = expiry === Infinity ? NEVER_SECONDS : expiry;
  const keepAlive = keepAliveSeconds(connect, settings);
  const responseInfo = responseInformation(connect, settings, accepted);
  return {
    receiveMaximum: settings.receiveMaximum,
    maximumPacketBytes: settings.maxPacketBytes,
    ...(settings.topicAliasMax > 0 && { topicAliasMaximum: settings.topicAliasMax }),
    ...(grantedExpiry !== wantedExpiry && { sessionExpirySeconds: grantedExpiry }),
    ...(connect.clientId === '' && { assignedClientId: accepted.clientId }),
    ...(keepAlive !== connect.keepAliveSeconds && { serverKeepAliveSeconds: keepAlive }),
    ...(responseInfo !== undefined && { responseInfo }),
  };
}

/**
 * The topic under which a client may expect answers, when it asks (3.1.2.11.6, 3.2.2.3.15). What is
 * filled in is one level, whatever characters it has, and no other name gives the same.
 */
function responseInformation(
  { properties }: ConnectPacket,
  { responseInformation: template }: MqttSettings,
  { clientId, userName }: Accepted,
): string | undefined {
  if (properties.requestResponseInfo !== 1 || template === undefined) return undefined;
  const text = template
    .split(/(\{client_id\}|\{username\})/)
    .map((part) => {
      if (part === '{client_id}') return encodeURIComponent(clientId);
      return part === '{username}' ? encodeURIComponent(userName) : part;
    })
    .join('');
  return Buffer.byteLength(text) > RESPONSE_INFO_BYTES_MAX ? undefined : text;
}
