/**
 * The 27 properties of MQTT 5 as data (section 2.2.2.2, table 2-4), and the look-up tables made
 * from them. `field` is the name a value has in `PropertyValues`.
 */
import {
  AUTH,
  CONNACK,
  CONNECT,
  DISCONNECT,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  PUBREC,
  PUBREL,
  SUBACK,
  SUBSCRIBE,
  UNSUBACK,
  UNSUBSCRIBE,
  WILL,
} from './packets.ts';

/** How a value is encoded (1.5). */
export type PropertyType = 'byte' | 'u16' | 'u32' | 'varint' | 'text' | 'binary' | 'pair';

/** What a value may be, beyond its type: 0 or 1; not 0. Anything else is a protocol error. */
export type PropertyRange = 'any' | 'bit' | 'non-zero';

/** Identifiers that code names; all of them are in `PROPERTIES`. */
export const PROPERTY_PAYLOAD_FORMAT = 0x01;
export const PROPERTY_MESSAGE_EXPIRY = 0x02;
export const PROPERTY_CONTENT_TYPE = 0x03;
export const PROPERTY_RESPONSE_TOPIC = 0x08;
export const PROPERTY_CORRELATION_DATA = 0x09;
export const PROPERTY_SUBSCRIPTION_ID = 0x0b;
export const PROPERTY_WILL_DELAY = 0x18;
export const PROPERTY_TOPIC_ALIAS = 0x23;
export const PROPERTY_USER = 0x26;

/** A name and a value, both text; their order and repetitions are kept (2.2.2.2). */
export type UserProperty = readonly [name: string, value: string];

/**
 * Decoded properties of one packet; absent ones are not there. Intervals are in seconds, sizes in
 * bytes, `binary` values are owned by the receiver.
 */
export interface PropertyValues {
  payloadFormat?: number;
  messageExpirySeconds?: number;
  contentType?: string;
  responseTopic?: string;
  correlationData?: Buffer;
  subscriptionId?: number;
  sessionExpirySeconds?: number;
  assignedClientId?: string;
  serverKeepAliveSeconds?: number;
  authMethod?: string;
  authData?: Buffer;
  requestProblemInfo?: number;
  willDelaySeconds?: number;
  requestResponseInfo?: number;
  responseInfo?: string;
  serverReference?: string;
  reasonString?: string;
  receiveMaximum?: number;
  topicAliasMaximum?: number;
  topicAlias?: number;
  maximumQos?: number;
  retainAvailable?: number;
  userProperties?: readonly UserProperty[];
  maximumPacketBytes?: number;
  wildcardAvailable?: number;
  subscriptionIdsAvailable?: number;
  sharedAvailable?: number;
}

/** One property. */
export interface PropertySpec {
  readonly id: number;
  readonly name: string;
  readonly field: keyof PropertyValues;
  readonly type: PropertyType;
  readonly range: PropertyRange;
  /** Packet types, and WILL. */
  readonly packets: readonly number[];
  /** May stand more than once. A subscription identifier may so only from the server. */
  readonly isRepeatable: boolean;
}

const ACKS = [PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK];
const CHANGES = [SUBSCRIBE, UNSUBSCRIBE];
const MESSAGES = [PUBLISH, WILL];
const ENDS = [CONNACK, DISCONNECT];
const LOGIN = [CONNECT, CONNACK];

function row(
  id: number,
  name: string,
  field: keyof PropertyValues,
  type: PropertyType,
  packets: readonly number[],
  range: PropertyRange = 'any',
): PropertySpec {
  const isRepeatable = id === PROPERTY_USER;
  return { id, name, field, type, range, packets, isRepeatable };
}

export const PROPERTIES: readonly PropertySpec[] = [
  row(0x01, 'Payload Format Indicator', 'payloadFormat', 'byte', MESSAGES, 'bit'),
  row(0x02, 'Message Expiry Interval', 'messageExpirySeconds', 'u32', MESSAGES),
  row(0x03, 'Content Type', 'contentType', 'text', MESSAGES),
  row(0x08, 'Response Topic', 'responseTopic', 'text', MESSAGES),
  row(0x09, 'Correlation Data', 'correlationData', 'binary', MESSAGES),
  row(0x0b, 'Subscription Identifier', 'subscriptionId', 'varint', [SUBSCRIBE], 'non-zero'),
  row(0x11, 'Session Expiry Interval', 'sessionExpirySeconds', 'u32', [...LOGIN, DISCONNECT]),
  row(0x12, 'Assigned Client Identifier', 'assignedClientId', 'text', [CONNACK]),
  row(0x13, 'Server Keep Alive', 'serverKeepAliveSeconds', 'u16', [CONNACK]),
  row(0x15, 'Authentication Method', 'authMethod', 'text', [...LOGIN, AUTH]),
  row(0x16, 'Authentication Data', 'authData', 'binary', [...LOGIN, AUTH]),
  row(0x17, 'Request Problem Information', 'requestProblemInfo', 'byte', [CONNECT], 'bit'),
  row(0x18, 'Will Delay Interval', 'willDelaySeconds', 'u32', [WILL]),
  row(0x19, 'Request Response Information', 'requestResponseInfo', 'byte', [CONNECT], 'bit'),
  row(0x1a, 'Response Information', 'responseInfo', 'text', [CONNACK]),
  row(0x1c, 'Server Reference', 'serverReference', 'text', ENDS),
  row(0x1f, 'Reason String', 'reasonString', 'text', [...ENDS, ...ACKS, AUTH]),
  row(0x21, 'Receive Maximum', 'receiveMaximum', 'u16', LOGIN, 'non-zero'),
  row(0x22, 'Topic Alias Maximum', 'topicAliasMaximum', 'u16', LOGIN),
  row(0x23, 'Topic Alias', 'topicAlias', 'u16', [PUBLISH], 'non-zero'),
  row(0x24, 'Maximum QoS', 'maximumQos', 'byte', [CONNACK], 'bit'),
  row(0x25, 'Retain Available', 'retainAvailable', 'byte', [CONNACK], 'bit'),
  row(0x26, 'User Property', 'userProperties', 'pair', [
    ...LOGIN,
    DISCONNECT,
    AUTH,
    ...MESSAGES,
    ...ACKS,
    ...CHANGES,
  ]),
  row(0x27, 'Maximum Packet Size', 'maximumPacketBytes', 'u32', LOGIN, 'non-zero'),
  row(0x28, 'Wildcard Subscription Available', 'wildcardAvailable', 'byte', [CONNACK], 'bit'),
  row(
    0x29,
    'Subscription Identifier Available',
    'subscriptionIdsAvailable',
    'byte',
    [CONNACK],
    'bit',
  ),
  row(0x2a, 'Shared Subscription Available', 'sharedAvailable', 'byte', [CONNACK], 'bit'),
];

/** One more than the highest identifier. */
export const PROPERTY_ID_END = 0x2b;

/** By identifier; undefined where none is defined. */
export const PROPERTY_BY_ID: readonly (PropertySpec | undefined)[] = Array.from(
  { length: PROPERTY_ID_END },
  (_, id) => PROPERTIES.find((spec) => spec.id === id),
);

/**
 * By identifier: bit t is set when a *client* may send it in packet type t (0: will properties);
 * 0 for identifiers that are not defined. A subscription identifier in PUBLISH comes only from
 * the server [MQTT-3.3.4-6], so it is not allowed there.
 */
export const PROPERTY_PACKETS = Uint16Array.from(PROPERTY_BY_ID, (spec) =>
  spec === undefined ? 0 : spec.packets.reduce((bits, type) => bits | (1 << type), 0),
);
