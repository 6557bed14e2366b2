/**
 * MQTT 3.1, 3.1.1 and 5.0 bytes for the black-box suites, written from the standards: builders for
 * what a client sends (wrong packets included) and a decoder for what a server sends.
 */

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

export const PACKET_NAMES = [
  'reserved',
  'CONNECT',
  'CONNACK',
  'PUBLISH',
  'PUBACK',
  'PUBREC',
  'PUBREL',
  'PUBCOMP',
  'SUBSCRIBE',
  'SUBACK',
  'UNSUBSCRIBE',
  'UNSUBACK',
  'PINGREQ',
  'PINGRESP',
  'DISCONNECT',
  'AUTH',
];

export type Version = 3 | 4 | 5;
export type Qos = 0 | 1 | 2;

/** MQTT 5 properties by name; `user` keeps order and repeats. */
export interface Properties {
  payloadFormat?: number;
  messageExpiry?: number;
  contentType?: string;
  responseTopic?: string;
  correlationData?: Buffer;
  subscriptionIds?: readonly number[];
  sessionExpiry?: number;
  assignedClientId?: string;
  serverKeepAlive?: number;
  authMethod?: string;
  authData?: Buffer;
  requestProblem?: number;
  willDelay?: number;
  requestResponse?: number;
  responseInformation?: string;
  serverReference?: string;
  reason?: string;
  receiveMaximum?: number;
  topicAliasMaximum?: number;
  topicAlias?: number;
  maximumQos?: number;
  retainAvailable?: number;
  user?: readonly (readonly [string, string])[];
  maximumPacketSize?: number;
  wildcardAvailable?: number;
  subscriptionIdAvailable?: number;
  sharedAvailable?: number;
}

type Kind = 'byte' | 'u16' | 'u32' | 'varint' | 'utf8' | 'binary' | 'pair';

const PROPERTY_KINDS: Readonly<
  Record<number, { readonly name: keyof Properties; readonly kind: Kind }>
> = {
  0x01: { name: 'payloadFormat', kind: 'byte' },
  0x02: { name: 'messageExpiry', kind: 'u32' },
  0x03: { name: 'contentType', kind: 'utf8' },
  0x08: { name: 'responseTopic', kind: 'utf8' },
  0x09: { name: 'correlationData', kind: 'binary' },
  0x0b: { name: 'subscriptionIds', kind: 'varint' },
  0x11: { name: 'sessionExpiry', kind: 'u32' },
  0x12: { name: 'assignedClientId', kind: 'utf8' },
  0x13: { name: 'serverKeepAlive', kind: 'u16' },
  0x15: { name: 'authMethod', kind: 'utf8' },
  0x16: { name: 'authData', kind: 'binary' },
  0x17: { name: 'requestProblem', kind: 'byte' },
  0x18: { name: 'willDelay', kind: 'u32' },
  0x19: { name: 'requestResponse', kind: 'byte' },
  0x1a: { name: 'responseInformation', kind: 'utf8' },
  0x1c: { name: 'serverReference', kind: 'utf8' },
  0x1f: { name: 'reason', kind: 'utf8' },
  0x21: { name: 'receiveMaximum', kind: 'u16' },
  0x22: { name: 'topicAliasMaximum', kind: 'u16' },
  0x23: { name: 'topicAlias', kind: 'u16' },
  0x24: { name: 'maximumQos', kind: 'byte' },
  0x25: { name: 'retainAvailable', kind: 'byte' },
  0x26: { name: 'user', kind: 'pair' },
  0x27: { name: 'maximumPacketSize', kind: 'u32' },
  0x28: { name: 'wildcardAvailable', kind: 'byte' },
  0x29: { name: 'subscriptionIdAvailable', kind: 'byte' },
  0x2a: { name: 'sharedAvailable', kind: 'byte' },
};

/** Bytes of integers and strings. */
export function u8(value: number): Buffer {
  return Buffer.from([value]);
}

export function u16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 255]);
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low | 128 : low);
  } while (rest > 0);
  return Buffer.from(bytes);
}

/** Length-prefixed bytes; a string is encoded as UTF-8. */
export function text(value: string | Buffer): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
  return Buffer.concat([u16(bytes.length), bytes]);
}

function encodeValue(kind: Kind, value: unknown): Buffer {
  if (kind === 'byte') return u8(value as number);
  if (kind === 'u16') return u16(value as number);
  if (kind === 'u32') return u32(value as number);
  if (kind === 'varint') return varint(value as number);
  if (kind === 'pair') {
    const [name, content] = value as readonly [string, string];
    return Buffer.concat([text(name), text(content)]);
  }
  return text(value as string | Buffer);
}

/** The property block with its length; raw bytes may follow the named ones. */
export function properties(values: Properties = {}, raw: Buffer = Buffer.alloc(0)): Buffer {
  const parts: Buffer[] = [];
  for (const [id, { name, kind }] of Object.entries(PROPERTY_KINDS)) {
    const value = values[name];
    if (value === undefined) continue;
    const all: readonly unknown[] =
      kind === 'pair' || kind === 'varint' ? (value as readonly unknown[]) : [value];
    for (const one of all) parts.push(u8(Number(id)), encodeValue(kind, one));
  }
  const block = Buffer.concat([...parts, raw]);
  return Buffer.concat([varint(block.length), block]);
}

/** A whole packet: type, flags and body parts. */
export function packet(type: number, flags: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([u8((type << 4) | flags), varint(body.length), body]);
}

export interface Will {
  readonly topic: string;
  readonly payload: string | Buffer;
  readonly qos?: number;
  readonly retain?: boolean;
  readonly properties?: Properties;
}

export interface ConnectFields {
  readonly version?: Version;
  readonly protocolName?: string;
  /** Sent as protocol level; the version when absent. */
  readonly level?: number;
  readonly clientId?: string;
  readonly cleanStart?: boolean;
  readonly keepAlive?: number;
  readonly user?: string | undefined;
  readonly password?: string | Buffer | undefined;
  readonly will?: Will;
  readonly properties?: Properties;
  /** Replaces the connect flags as computed. */
  readonly flags?: number;
}

export function connectPacket(fields: ConnectFields): Buffer {
  const version = fields.version ?? 5;
  const { will, user, password } = fields;
  const flags =
    (user === undefined ? 0 : 0x80) |
    (password === undefined ? 0 : 0x40) |
    (will === undefined ? 0 : 0x04 | ((will.qos ?? 0) << 3) | (will.retain === true ? 0x20 : 0)) |
    (fields.cleanStart === false ? 0 : 0x02);
  const parts = [
    text(fields.protocolName ?? (version === 3 ? 'MQIsdp' : 'MQTT')),
    u8(fields.level ?? version),
    u8(fields.flags ?? flags),
    u16(fields.keepAlive ?? 0),
  ];
  if (version === 5) parts.push(properties(fields.properties));
  parts.push(text(fields.clientId ?? ''));
  if (will !== undefined) {
    if (version === 5) parts.push(properties(will.properties));
    parts.push(text(will.topic), text(will.payload));
  }
  if (user !== undefined) parts.push(text(user));
  if (password !== undefined) parts.push(text(password));
  return packet(CONNECT, 0, ...parts);
}

export interface PublishFields {
  readonly version?: Version;
  readonly topic: string | Buffer;
  readonly payload?: string | Buffer;
  readonly qos?: number;
  readonly retain?: boolean;
  readonly dup?: boolean;
  readonly packetId?: number;
  readonly properties?: Properties;
  readonly rawProperties?: Buffer;
}

export function publishPacket(fields: PublishFields): Buffer {
  const qos = fields.qos ?? 0;
  const flags = (fields.dup === true ? 8 : 0) | (qos << 1) | (fields.retain === true ? 1 : 0);
  const parts = [text(fields.topic)];
  if (qos > 0) parts.push(u16(fields.packetId ?? 1));
  if ((fields.version ?? 5) === 5) parts.push(properties(fields.properties, fields.rawProperties));
  parts.push(Buffer.from(fields.payload ?? ''));
  return packet(PUBLISH, flags, ...parts);
}

/** PUBACK, PUBREC, PUBREL (with its flags) and PUBCOMP. */
export function ackPacket(
  type: number,
  packetId: number,
  code?: number,
  values?: Properties,
): Buffer {
  const parts = [u16(packetId)];
  if (code !== undefined) parts.push(u8(code));
  if (values !== undefined) parts.push(properties(values));
  return packet(type, type === PUBREL ? 2 : 0, ...parts);
}

export interface Filter {
  readonly filter: string | Buffer;
  readonly qos?: number;
  readonly noLocal?: boolean;
  readonly retainAsPublished?: boolean;
  readonly retainHandling?: number;
  /** Replaces the options byte. */
  readonly options?: number;
}

export function subscribePacket(
  version: Version,
  packetId: number,
  filters: readonly Filter[],
  values?: Properties,
): Buffer {
  const parts = [u16(packetId)];
  if (version === 5) parts.push(properties(values));
  for (const one of filters) {
    const options =
      (one.qos ?? 0) |
      (one.noLocal === true ? 4 : 0) |
      (one.retainAsPublished === true ? 8 : 0) |
      ((one.retainHandling ?? 0) << 4);
    parts.push(text(one.filter), u8(one.options ?? options));
  }
  return packet(SUBSCRIBE, 2, ...parts);
}

export function unsubscribePacket(
  version: Version,
  packetId: number,
  filters: readonly string[],
  values?: Properties,
): Buffer {
  const parts = [u16(packetId)];
  if (version === 5) parts.push(properties(values));
  return packet(UNSUBSCRIBE, 2, ...parts, ...filters.map((filter) => text(filter)));
}

export function disconnectPacket(version: Version, code?: number, values?: Properties): Buffer {
  if (version !== 5 || (code === undefined && values === undefined)) return packet(DISCONNECT, 0);
  const parts = [u8(code ?? 0)];
  if (values !== undefined) parts.push(properties(values));
  return packet(DISCONNECT, 0, ...parts);
}

export function authPacket(code: number, values: Properties): Buffer {
  return packet(AUTH, 0, u8(code), properties(values));
}

export const PINGREQ_PACKET = packet(PINGREQ, 0);

/** What a server sent; fields a packet does not have are zero or empty. */
export interface Incoming {
  readonly type: number;
  readonly name: string;
  readonly dup: boolean;
  readonly qos: number;
  readonly retain: boolean;
  readonly packetId: number;
  readonly topic: string;
  readonly payload: Buffer;
  /** Return code of CONNACK, reason code of acknowledgements, DISCONNECT and AUTH. */
  readonly code: number;
  /** SUBACK and UNSUBACK. */
  readonly codes: readonly number[];
  readonly sessionPresent: boolean;
  readonly properties: Properties;
  /** Bytes of the whole packet. */
  readonly size: number;
}

/** Reads fields off a packet's body; throws when the server's packet is wrong. */
class Reader {
  readonly #bytes: Buffer;
  #offset = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#offset;
  }

  take(count: number): Buffer {
    if (count > this.left) throw new Error('server packet is too short');
    const start = this.#offset;
    this.#offset += count;
    return this.#bytes.subarray(start, this.#offset);
  }

  byte(): number {
    return this.take(1)[0]!;
  }

  u16(): number {
    return this.take(2).readUInt16BE();
  }

  u32(): number {
    return this.take(4).readUInt32BE();
  }

  varint(): number {
    let value = 0;
    for (let factor = 1, count = 0; count < 4; count += 1, factor *= 128) {
      const byte = this.byte();
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
    throw new Error('server sent a variable byte integer of five bytes');
  }

  binary(): Buffer {
    return Buffer.from(this.take(this.u16()));
  }

  text(): string {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.binary());
  }

  properties(): Properties {
    const block = new Reader(this.take(this.varint()));
    const values: Record<string, unknown> = {};
    while (block.left > 0) {
      const id = block.varint();
      const property = PROPERTY_KINDS[id];
      if (property === undefined) throw new Error(`server sent property ${id}`);
      const { name, kind } = property;
      const value = block.#value(kind);
      if (kind === 'pair' || kind === 'varint') {
        values[name] = [...((values[name] as unknown[] | undefined) ?? []), value];
      } else if (name in values) {
        throw new Error(`server sent ${name} twice`);
      } else {
        values[name] = value;
      }
    }
    return values;
  }

  #value(kind: Kind): unknown {
    if (kind === 'byte') return this.byte();
    if (kind === 'u16') return this.u16();
    if (kind === 'u32') return this.u32();
    if (kind === 'varint') return this.varint();
    if (kind === 'utf8') return this.text();
    if (kind === 'binary') return this.binary();
    return [this.text(), this.text()];
  }
}

type Fields = { -readonly [Name in keyof Incoming]?: Incoming[Name] };

function decodeBody(version: Version, type: number, flags: number, body: Reader): Fields {
  const isV5 = version === 5;
  if (type === PUBLISH) {
    const qos = (flags >> 1) & 3;
    const topic = body.text();
    const packetId = qos > 0 ? body.u16() : 0;
    const values = isV5 ? body.properties() : {};
    const payload = Buffer.from(body.take(body.left));
    return {
      dup: (flags & 8) !== 0,
      qos,
      retain: (flags & 1) !== 0,
      topic,
      packetId,
      properties: values,
      payload,
    };
  }
  if (flags !== (type === PUBREL ? 2 : 0)) {
    throw new Error(`server sent ${PACKET_NAMES[type]} with flags ${flags}`);
  }
  if (type === CONNACK) {
    const acknowledge = body.byte();
    if (acknowledge > 1) throw new Error(`server sent CONNACK flags ${acknowledge}`);
    const code = body.byte();
    return {
      sessionPresent: acknowledge === 1,
      code,
      properties: isV5 && body.left > 0 ? body.properties() : {},
    };
  }
  if (type === SUBACK || type === UNSUBACK) {
    const packetId = body.u16();
    const values = isV5 ? body.properties() : {};
    return { packetId, properties: values, codes: [...body.take(body.left)] };
  }
  if (type >= PUBACK && type <= PUBCOMP) {
    const packetId = body.u16();
    if (!isV5) return { packetId };
    const code = body.left > 0 ? body.byte() : 0;
    return { packetId, code, properties: body.left > 0 ? body.properties() : {} };
  }
  if (type === PINGRESP) return {};
  if ((type === DISCONNECT || type === AUTH) && isV5) {
    const code = body.left > 0 ? body.byte() : 0;
    return { code, properties: body.left > 0 ? body.properties() : {} };
  }
  throw new Error(`server sent ${PACKET_NAMES[type]}`);
}

/** Cuts a server's stream into packets. */
export class PacketSplitter {
  #pending: Buffer = Buffer.alloc(0);

  push(chunk: Buffer, version: Version, onPacket: (packet: Incoming) => void): void {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    for (;;) {
      const header = headerOf(this.#pending);
      if (header === undefined || this.#pending.length < header.start + header.length) return;
      const end = header.start + header.length;
      const first = this.#pending[0]!;
      const type = first >> 4;
      const body = new Reader(this.#pending.subarray(header.start, end));
      const fields = decodeBody(version, type, first & 15, body);
      if (body.left > 0) throw new Error(`server sent ${body.left} bytes after its packet`);
      this.#pending = this.#pending.subarray(end);
      onPacket({
        type,
        name: PACKET_NAMES[type]!,
        dup: false,
        qos: 0,
        retain: false,
        packetId: 0,
        topic: '',
        payload: Buffer.alloc(0),
        code: 0,
        codes: [],
        sessionPresent: false,
        properties: {},
        size: end,
        ...fields,
      });
    }
  }
}

function headerOf(bytes: Buffer): { start: number; length: number } | undefined {
  let length = 0;
  for (let index = 1, factor = 1; index <= 4; index += 1, factor *= 128) {
    const byte = bytes[index];
    if (byte === undefined) return undefined;
    length += (byte & 127) * factor;
    if (byte < 128) return { start: index + 1, length };
  }
  throw new Error('server sent a remaining length of five bytes');
}
