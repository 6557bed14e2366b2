/**
 * The control packets as data: type, direction, flags of the fixed header, versions (MQTT 5
 * section 2.1, MQTT 3.1.1 section 2.2, MQTT 3.1 section 2).
 */

/** Protocol level in CONNECT of MQTT 3.1, named "MQIsdp". */
export const VERSION_3_1 = 3;
/** Protocol level in CONNECT of MQTT 3.1.1. */
export const VERSION_3_1_1 = 4;
/** Protocol level in CONNECT of MQTT 5.0. */
export const VERSION_5 = 5;

/** The levels a server of ours speaks. */
export type ProtocolVersion = typeof VERSION_3_1 | typeof VERSION_3_1_1 | typeof VERSION_5;

export const CONNECT = 1;
export const CONNACK = 2;
export const PUBLISH = 3;
export const PUBACK = 4;
export const PUBREC = 5;
export const PUBREL = 6;
export const PUBCOMP = 7;
export const SUBSCRIBE = 8;
export const SUBACK = 9;
export const UNSUBSCRIBE = 10;
export const UNSUBACK = 11;
export const PINGREQ = 12;
export const PINGRESP = 13;
export const DISCONNECT = 14;
export const AUTH = 15;

/** Not a packet: the will properties within CONNECT, which have their own set (3.1.3.2). */
export const WILL = 0;

/** Flags of PUBLISH in the fixed header (3.3.1). */
export const FLAG_RETAIN = 0x01;
export const FLAGS_QOS = 0x06;
export const FLAG_DUP = 0x08;

/** Bytes of a fixed header at most: type and flags, and a length of four bytes. */
export const FIXED_HEADER_BYTES_MAX = 5;

/** Largest value of a variable byte integer, and so the largest remaining length (1.5.5). */
export const VARINT_MAX = 268_435_455;

/** Bytes. Largest packet there can be: 256 MiB and the fixed header. */
export const PACKET_BYTES_HARD_CAP = VARINT_MAX + FIXED_HEADER_BYTES_MAX;

/** One control packet. */
export interface PacketSpec {
  readonly type: number;
  readonly name: string;
  /** Low half of the first byte (table 2-2); undefined for PUBLISH, where it has a meaning. */
  readonly flags: number | undefined;
  readonly isFromClient: boolean;
  readonly isFromServer: boolean;
  /** Lowest protocol level that has it. */
  readonly since: ProtocolVersion;
}

function row(
  type: number,
  name: string,
  flags: number | undefined,
  from: 'client' | 'server' | 'both',
  since: ProtocolVersion = VERSION_3_1,
): PacketSpec {
  const isFromClient = from !== 'server';
  const isFromServer = from !== 'client';
  return { type, name, flags, isFromClient, isFromServer, since };
}

export const PACKETS: readonly PacketSpec[] = [
  row(CONNECT, 'CONNECT', 0, 'client'),
  row(CONNACK, 'CONNACK', 0, 'server'),
  row(PUBLISH, 'PUBLISH', undefined, 'both'),
  row(PUBACK, 'PUBACK', 0, 'both'),
  row(PUBREC, 'PUBREC', 0, 'both'),
  row(PUBREL, 'PUBREL', 2, 'both'),
  row(PUBCOMP, 'PUBCOMP', 0, 'both'),
  row(SUBSCRIBE, 'SUBSCRIBE', 2, 'client'),
  row(SUBACK, 'SUBACK', 0, 'server'),
  row(UNSUBSCRIBE, 'UNSUBSCRIBE', 2, 'client'),
  row(UNSUBACK, 'UNSUBACK', 0, 'server'),
  row(PINGREQ, 'PINGREQ', 0, 'client'),
  row(PINGRESP, 'PINGRESP', 0, 'server'),
  // A server's DISCONNECT exists since 5.0 only.
  row(DISCONNECT, 'DISCONNECT', 0, 'both'),
  row(AUTH, 'AUTH', 0, 'both', VERSION_5),
];

const NAMES: readonly string[] = ['will', ...PACKETS.map(({ name }) => name)];

/** The packet's name for texts and logs. */
export function packetName(type: number): string {
  return NAMES[type] ?? `packet type ${type}`;
}
