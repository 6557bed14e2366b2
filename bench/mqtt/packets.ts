/** MQTT 3.1.1 and 5.0 packets as a load generator needs them: encoded once, patched after. */

export const CONNACK = 2;
export const PUBLISH = 3;
export const PUBACK = 4;
export const PUBREC = 5;
export const PUBREL = 6;
export const PUBCOMP = 7;
export const SUBACK = 9;
export const DISCONNECT = 14;

/** Protocol level: 4 is MQTT 3.1.1. */
export type Version = 4 | 5;
export type Qos = 0 | 1 | 2;

/** First bytes of the packets that are written without a body. */
export const PINGREQ_PACKET = Buffer.from([0xc0, 0]);
export const DISCONNECT_PACKET = Buffer.from([0xe0, 0]);

export interface ConnectFields {
  readonly version: Version;
  readonly clientId: string;
  readonly isClean: boolean;
  readonly keepAliveSeconds: number;
  readonly user: string;
  readonly password: string;
  /** MQTT 5 only; 0 leaves the property out. */
  readonly sessionExpirySeconds: number;
  /** MQTT 5 only; 0 leaves the property out. */
  readonly receiveMaximum: number;
}

/** Remaining length, 1 to 4 bytes (2.1.4). */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest & 127;
    rest >>>= 7;
    bytes.push(rest > 0 ? low | 128 : low);
  } while (rest > 0);
  return Buffer.from(bytes);
}

function u16(value: number): Buffer {
  return Buffer.from([value >>> 8, value & 255]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8');
  return Buffer.concat([u16(bytes.length), bytes]);
}

function packet(firstByte: number, parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([firstByte]), varint(body.length), body]);
}

export function connect(fields: ConnectFields): Buffer {
  const hasLogin = fields.user !== '';
  const flags = (hasLogin ? 0xc0 : 0) | (fields.isClean ? 0x02 : 0);
  const parts = [text('MQTT'), Buffer.from([fields.version, flags]), u16(fields.keepAliveSeconds)];
  if (fields.version === 5) {
    const properties: Buffer[] = [];
    if (fields.sessionExpirySeconds > 0) {
      const expiry = Buffer.alloc(5);
      expiry[0] = 0x11;
      expiry.writeUInt32BE(fields.sessionExpirySeconds, 1);
      properties.push(expiry);
    }
    if (fields.receiveMaximum > 0) {
      properties.push(Buffer.from([0x21]), u16(fields.receiveMaximum));
    }
    const block = Buffer.concat(properties);
    parts.push(varint(block.length), block);
  }
  parts.push(text(fields.clientId));
  if (hasLogin) parts.push(text(fields.user), text(fields.password));
  return packet(0x10, parts);
}

export function subscribe(
  version: Version,
  packetId: number,
  filters: readonly string[],
  qos: Qos,
): Buffer {
  const parts = [u16(packetId)];
  if (version === 5) parts.push(Buffer.from([0]));
  for (const filter of filters) parts.push(text(filter), Buffer.from([qos]));
  return packet(0x82, parts);
}

/** A PUBLISH with a body of zeros, and where its packet id (-1: none) and body begin. */
export function publish(
  version: Version,
  topic: string,
  qos: Qos,
  sizeBytes: number,
): { bytes: Buffer; idOffset: number; bodyOffset: number } {
  const parts = [text(topic)];
  if (qos > 0) parts.push(u16(1));
  if (version === 5) parts.push(Buffer.from([0]));
  parts.push(Buffer.alloc(sizeBytes));
  const bytes = packet(0x30 | (qos << 1), parts);
  const bodyOffset = bytes.length - sizeBytes;
  return { bytes, idOffset: qos > 0 ? bodyOffset - (version === 5 ? 3 : 2) : -1, bodyOffset };
}
