/**
 * Reason codes as data: the v5 codes with the packets they may stand in (MQTT 5 section 2.4 and
 * the tables of chapter 3), what a 3.x client gets instead, and how a server answers with each.
 */
import {
  AUTH,
  CONNACK,
  DISCONNECT,
  PUBACK,
  PUBCOMP,
  PUBREC,
  PUBREL,
  SUBACK,
  UNSUBACK,
} from './packets.ts';

/** Return codes of CONNACK in MQTT 3.1 and 3.1.1 (3.1.1 section 3.2.2.3). */
export const CONNACK_3_ACCEPTED = 0;
export const CONNACK_3_VERSION = 1;
export const CONNACK_3_CLIENT_ID = 2;
export const CONNACK_3_UNAVAILABLE = 3;
export const CONNACK_3_CREDENTIALS = 4;
export const CONNACK_3_NOT_AUTHORIZED = 5;

/** A 3.x client gets no CONNACK for it: the connection is closed. */
export const CONNACK_3_NONE = -1;

/** The only failure a SUBACK of 3.1.1 knows. */
export const SUBACK_3_FAILURE = 0x80;

/** Codes that code names; all of them are in `REASONS`. */
export const REASON_SUCCESS = 0x00;
export const REASON_NO_MATCHING_SUBSCRIBERS = 0x10;
export const REASON_NO_SUBSCRIPTION_EXISTED = 0x11;
export const REASON_CONTINUE_AUTHENTICATION = 0x18;
export const REASON_REAUTHENTICATE = 0x19;
/** From here on a code is a failure. */
export const REASON_FAILURE_MIN = 0x80;
export const REASON_UNSPECIFIED = 0x80;
export const REASON_MALFORMED_PACKET = 0x81;
export const REASON_PROTOCOL_ERROR = 0x82;
export const REASON_IMPLEMENTATION_SPECIFIC = 0x83;
export const REASON_UNSUPPORTED_VERSION = 0x84;
export const REASON_CLIENT_ID_NOT_VALID = 0x85;
export const REASON_BAD_USER_OR_PASSWORD = 0x86;
export const REASON_NOT_AUTHORIZED = 0x87;
export const REASON_SERVER_UNAVAILABLE = 0x88;
export const REASON_SERVER_BUSY = 0x89;
export const REASON_BANNED = 0x8a;
export const REASON_SERVER_SHUTTING_DOWN = 0x8b;
export const REASON_BAD_AUTH_METHOD = 0x8c;
export const REASON_KEEP_ALIVE_TIMEOUT = 0x8d;
export const REASON_SESSION_TAKEN_OVER = 0x8e;
export const REASON_TOPIC_FILTER_INVALID = 0x8f;
export const REASON_TOPIC_NAME_INVALID = 0x90;
export const REASON_PACKET_ID_NOT_FOUND = 0x92;
export const REASON_RECEIVE_MAXIMUM_EXCEEDED = 0x93;
export const REASON_TOPIC_ALIAS_INVALID = 0x94;
export const REASON_PACKET_TOO_LARGE = 0x95;
export const REASON_QUOTA_EXCEEDED = 0x97;
export const REASON_ADMINISTRATIVE_ACTION = 0x98;
export const REASON_PAYLOAD_FORMAT_INVALID = 0x99;
export const REASON_USE_ANOTHER_SERVER = 0x9c;
export const REASON_SERVER_MOVED = 0x9d;
export const REASON_CONNECTION_RATE_EXCEEDED = 0x9f;
export const REASON_MAXIMUM_CONNECT_TIME = 0xa0;

/**
 * How a server answers a request it refuses with a code: `ack`, in the acknowledgement of the
 * packet when that may carry it, the connection goes on; `close`, with DISCONNECT (before login
 * CONNACK) and the end of the connection.
 */
export type ReasonAnswer = 'ack' | 'close';

export interface ReasonSpec {
  readonly code: number;
  readonly name: string;
  /** Packets a server may send it in. */
  readonly fromServer: readonly number[];
  /** Packets a client may send it in. */
  readonly fromClient: readonly number[];
  readonly answer: ReasonAnswer;
  /** Return code of a 3.x CONNACK that says it best, or CONNACK_3_NONE. */
  readonly connack3: number;
}

const PUBLISH_ACKS = [PUBACK, PUBREC];
const ALL_PUBLISH_ACKS = [PUBACK, PUBREC, PUBREL, PUBCOMP];

/** Codes a client may give in DISCONNECT as well as the server (3.14.2.1). */
function both(
  code: number,
  name: string,
  packets: readonly number[],
  answer: ReasonAnswer,
): ReasonSpec {
  const fromClient = packets.filter((type) => type === DISCONNECT || isPublishAck(type));
  return row(code, name, packets, fromClient, answer, connack3Of(code));
}

/** Codes only the server gives, but in acknowledgements of PUBLISH also the client. */
function server(
  code: number,
  name: string,
  packets: readonly number[],
  answer: ReasonAnswer,
): ReasonSpec {
  return row(code, name, packets, packets.filter(isPublishAck), answer, connack3Of(code));
}

function row(
  code: number,
  name: string,
  fromServer: readonly number[],
  fromClient: readonly number[],
  answer: ReasonAnswer,
  connack3: number,
): ReasonSpec {
  return { code, name, fromServer, fromClient, answer, connack3 };
}

function isPublishAck(type: number): boolean {
  return ALL_PUBLISH_ACKS.includes(type);
}

/** What of 3.1.1 table 3.1 stands for a v5 code; nothing does for most. */
function connack3Of(code: number): number {
  switch (code) {
    case REASON_SUCCESS:
      return CONNACK_3_ACCEPTED;
    case REASON_UNSUPPORTED_VERSION:
      return CONNACK_3_VERSION;
    case REASON_CLIENT_ID_NOT_VALID:
      return CONNACK_3_CLIENT_ID;
    case REASON_BAD_USER_OR_PASSWORD:
      return CONNACK_3_CREDENTIALS;
    case REASON_NOT_AUTHORIZED:
    case REASON_BANNED:
    case REASON_BAD_AUTH_METHOD:
      return CONNACK_3_NOT_AUTHORIZED;
    case REASON_UNSPECIFIED:
    case REASON_IMPLEMENTATION_SPECIFIC:
    case REASON_SERVER_UNAVAILABLE:
    case REASON_SERVER_BUSY:
    case REASON_SERVER_SHUTTING_DOWN:
    case REASON_QUOTA_EXCEEDED:
    case REASON_USE_ANOTHER_SERVER:
    case REASON_SERVER_MOVED:
    case REASON_CONNECTION_RATE_EXCEEDED:
      return CONNACK_3_UNAVAILABLE;
    default:
      return CONNACK_3_NONE;
  }
}

const REFUSALS = [CONNACK, ...PUBLISH_ACKS, SUBACK, UNSUBACK, DISCONNECT];
const ENDS = [CONNACK, DISCONNECT];
const SUCCESSES = [CONNACK, ...ALL_PUBLISH_ACKS, SUBACK, UNSUBACK, DISCONNECT, AUTH];

export const REASONS: readonly ReasonSpec[] = [
  row(0x00, 'Success', SUCCESSES, [...ALL_PUBLISH_ACKS, DISCONNECT], 'ack', CONNACK_3_ACCEPTED),
  server(0x01, 'Granted QoS 1', [SUBACK], 'ack'),
  server(0x02, 'Granted QoS 2', [SUBACK], 'ack'),
  row(0x04, 'Disconnect with Will Message', [], [DISCONNECT], 'close', CONNACK_3_NONE),
  server(0x10, 'No matching subscribers', PUBLISH_ACKS, 'ack'),
  server(0x11, 'No subscription existed', [UNSUBACK], 'ack'),
  row(0x18, 'Continue authentication', [AUTH], [AUTH], 'ack', CONNACK_3_NONE),
  row(0x19, 'Re-authenticate', [], [AUTH], 'ack', CONNACK_3_NONE),
  both(0x80, 'Unspecified error', REFUSALS, 'ack'),
  both(0x81, 'Malformed Packet', ENDS, 'close'),
  both(0x82, 'Protocol Error', ENDS, 'close'),
  both(0x83, 'Implementation specific error', REFUSALS, 'ack'),
  server(0x84, 'Unsupported Protocol Version', [CONNACK], 'close'),
  server(0x85, 'Client Identifier not valid', [CONNACK], 'close'),
  server(0x86, 'Bad User Name or Password', [CONNACK], 'close'),
  server(0x87, 'Not authorized', REFUSALS, 'ack'),
  server(0x88, 'Server unavailable', [CONNACK], 'close'),
  server(0x89, 'Server busy', ENDS, 'close'),
  server(0x8a, 'Banned', [CONNACK], 'close'),
  server(0x8b, 'Server shutting down', [DISCONNECT], 'close'),
  server(0x8c, 'Bad authentication method', ENDS, 'close'),
  server(0x8d, 'Keep Alive timeout', [DISCONNECT], 'close'),
  server(0x8e, 'Session taken over', [DISCONNECT], 'close'),
  server(0x8f, 'Topic Filter invalid', [SUBACK, UNSUBACK, DISCONNECT], 'ack'),
  both(0x90, 'Topic Name invalid', [CONNACK, ...PUBLISH_ACKS, DISCONNECT], 'close'),
  server(0x91, 'Packet Identifier in use', [...PUBLISH_ACKS, SUBACK, UNSUBACK], 'ack'),
  server(0x92, 'Packet Identifier not found', [PUBREL, PUBCOMP], 'ack'),
  both(0x93, 'Receive Maximum exceeded', [DISCONNECT], 'close'),
  both(0x94, 'Topic Alias invalid', [DISCONNECT], 'close'),
  both(0x95, 'Packet too large', ENDS, 'close'),
  both(0x96, 'Message rate too high', [DISCONNECT], 'close'),
  both(0x97, 'Quota exceeded', [CONNACK, ...PUBLISH_ACKS, SUBACK, DISCONNECT], 'ack'),
  both(0x98, 'Administrative action', [DISCONNECT], 'close'),
  both(0x99, 'Payload format invalid', [CONNACK, ...PUBLISH_ACKS, DISCONNECT], 'ack'),
  server(0x9a, 'Retain not supported', ENDS, 'close'),
  server(0x9b, 'QoS not supported', ENDS, 'close'),
  server(0x9c, 'Use another server', ENDS, 'close'),
  server(0x9d, 'Server moved', ENDS, 'close'),
  server(0x9e, 'Shared Subscriptions not supported', [SUBACK, DISCONNECT], 'ack'),
  server(0x9f, 'Connection rate exceeded', ENDS, 'close'),
  server(0xa0, 'Maximum connect time', [DISCONNECT], 'close'),
  server(0xa1, 'Subscription Identifiers not supported', [SUBACK, DISCONNECT], 'ack'),
  server(0xa2, 'Wildcard Subscriptions not supported', [SUBACK, DISCONNECT], 'ack'),
];

const BY_CODE: readonly (ReasonSpec | undefined)[] = Array.from({ length: 256 }, (_, code) =>
  REASONS.find((spec) => spec.code === code),
);

const CLIENT_PACKETS = Uint16Array.from(BY_CODE, (spec) => bitsOf(spec?.fromClient));
const SERVER_PACKETS = Uint16Array.from(BY_CODE, (spec) => bitsOf(spec?.fromServer));

function bitsOf(types: readonly number[] = []): number {
  return types.reduce((bits, type) => bits | (1 << type), 0);
}

/** The table's row, or undefined when the code is not defined. */
export function reasonSpec(code: number): ReasonSpec | undefined {
  return BY_CODE[code];
}

/** The code's name for texts and logs. */
export function reasonName(code: number): string {
  return BY_CODE[code]?.name ?? `reason 0x${code.toString(16).padStart(2, '0')}`;
}

/** True when a client may send `code` in packets of `type`. */
export function isClientReason(code: number, type: number): boolean {
  return (CLIENT_PACKETS[code]! & (1 << type)) !== 0;
}

/** True when a server may send `code` in packets of `type`. */
export function isServerReason(code: number, type: number): boolean {
  return (SERVER_PACKETS[code]! & (1 << type)) !== 0;
}

/** Return code of a 3.x CONNACK for a v5 code, or CONNACK_3_NONE: close without one. */
export function connack3(code: number): number {
  return BY_CODE[code]?.connack3 ?? CONNACK_3_NONE;
}
