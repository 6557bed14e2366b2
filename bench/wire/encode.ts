/**
 * Encodes the AMQP 0-9-1 frames that a load generator sends. It shares no code with the gateway,
 * so that a codec fault there cannot hide itself behind the same fault here.
 *
 * Every function returns complete frames, ready for the socket:
 *
 *     type(1) channel(2) payload-size(4) | payload | 0xCE
 */

export const FRAME_METHOD = 1;
export const FRAME_HEADER = 2;
export const FRAME_BODY = 3;
export const FRAME_END = 0xce;
/** Bytes of a frame around its payload: 7 before, 1 after. */
export const FRAME_OVERHEAD_BYTES = 8;

export const PROTOCOL_HEADER = Buffer.from([0x41, 0x4d, 0x51, 0x50, 0, 0, 9, 1]);

/** Class and method id as one number: the first four payload bytes of a method frame. */
export function methodKey(classId: number, methodId: number): number {
  return classId * 0x10000 + methodId;
}

export const CONNECTION_START = methodKey(10, 10);
export const CONNECTION_TUNE = methodKey(10, 30);
export const CONNECTION_OPEN_OK = methodKey(10, 41);
export const CONNECTION_CLOSE = methodKey(10, 50);
export const CONNECTION_CLOSE_OK = methodKey(10, 51);
export const CONNECTION_BLOCKED = methodKey(10, 60);
export const CONNECTION_UNBLOCKED = methodKey(10, 61);
export const CHANNEL_OPEN_OK = methodKey(20, 11);
export const CHANNEL_CLOSE = methodKey(20, 40);
export const EXCHANGE_DECLARE_OK = methodKey(40, 11);
export const EXCHANGE_DELETE_OK = methodKey(40, 21);
export const QUEUE_DECLARE_OK = methodKey(50, 11);
export const QUEUE_BIND_OK = methodKey(50, 21);
export const QUEUE_DELETE_OK = methodKey(50, 41);
export const BASIC_QOS_OK = methodKey(60, 11);
export const BASIC_CONSUME_OK = methodKey(60, 21);
export const BASIC_CANCEL_OK = methodKey(60, 31);
export const BASIC_DELIVER = methodKey(60, 60);
export const BASIC_ACK = methodKey(60, 80);
export const BASIC_NACK = methodKey(60, 120);
export const CONFIRM_SELECT_OK = methodKey(85, 11);

/** Values a table in a request may hold: integers go out as signed 64-bit. */
export type TableValue = string | number | boolean | Table;
export interface Table {
  readonly [name: string]: TableValue;
}

function shortString(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

function longString(bytes: Buffer): Buffer {
  return Buffer.concat([u32(bytes.length), bytes]);
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

function tableValue(value: TableValue): Buffer {
  if (typeof value === 'string') {
    return Buffer.concat([Buffer.from('S'), longString(Buffer.from(value, 'utf8'))]);
  }
  if (typeof value === 'boolean') return Buffer.from([0x74, value ? 1 : 0]);
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(9);
    bytes.write('l');
    bytes.writeBigInt64BE(BigInt(value), 1);
    return bytes;
  }
  return Buffer.concat([Buffer.from('F'), table(value)]);
}

function table(fields: Table): Buffer {
  const pieces: Buffer[] = [];
  for (const [name, value] of Object.entries(fields)) {
    pieces.push(shortString(name), tableValue(value));
  }
  return longString(Buffer.concat(pieces));
}

function frame(type: number, channel: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(7);
  head[0] = type;
  head.writeUInt16BE(channel, 1);
  head.writeUInt32BE(payload.length, 3);
  return Buffer.concat([head, payload, Buffer.from([FRAME_END])]);
}

/** One method frame from already encoded argument pieces. */
export function method(
  channel: number,
  classId: number,
  methodId: number,
  ...fields: Buffer[]
): Buffer {
  return frame(FRAME_METHOD, channel, Buffer.concat([u16(classId), u16(methodId), ...fields]));
}

export function startOk(user: string, password: string): Buffer {
  const properties: Table = {
    product: 'tributary-bench',
    capabilities: {
      publisher_confirms: true,
      'basic.nack': true,
      consumer_cancel_notify: true,
      'connection.blocked': true,
      authentication_failure_close: true,
    },
  };
  const response = Buffer.from(`\0${user}\0${password}`, 'utf8');
  return method(
    0,
    10,
    11,
    table(properties),
    shortString('PLAIN'),
    longString(response),
    shortString('en_US'),
  );
}

export function tuneOk(channelMax: number, frameMaxBytes: number): Buffer {
  // Heartbeats off: the generator may be silent on one side for a whole run.
  return method(0, 10, 31, u16(channelMax), u32(frameMaxBytes), u16(0));
}

export function connectionOpen(vhost: string): Buffer {
  return method(0, 10, 40, shortString(vhost), shortString(''), Buffer.from([0]));
}

export function connectionClose(): Buffer {
  return method(0, 10, 50, u16(200), shortString('bye'), u16(0), u16(0));
}

export function connectionCloseOk(): Buffer {
  return method(0, 10, 51);
}

export function channelOpen(channel: number): Buffer {
  return method(channel, 20, 10, shortString(''));
}

export function exchangeDeclare(channel: number, name: string, type: string): Buffer {
  return method(
    channel,
    40,
    10,
    u16(0),
    shortString(name),
    shortString(type),
    Buffer.from([0b00010]),
    table({}),
  );
}

export function exchangeDelete(channel: number, name: string): Buffer {
  return method(channel, 40, 20, u16(0), shortString(name), Buffer.from([0]));
}

export interface QueueFlags {
  readonly isPassive?: boolean;
  readonly isDurable?: boolean;
}

export function queueDeclare(
  channel: number,
  name: string,
  flags: QueueFlags,
  queueArguments: Table = {},
): Buffer {
  const bits = (flags.isPassive === true ? 1 : 0) | (flags.isDurable === true ? 2 : 0);
  return method(
    channel,
    50,
    10,
    u16(0),
    shortString(name),
    Buffer.from([bits]),
    table(queueArguments),
  );
}

export function queueBind(channel: number, queue: string, exchange: string, key: string): Buffer {
  return method(
    channel,
    50,
    20,
    u16(0),
    shortString(queue),
    shortString(exchange),
    shortString(key),
    Buffer.from([0]),
    table({}),
  );
}

export function queueDelete(channel: number, name: string): Buffer {
  return method(channel, 50, 40, u16(0), shortString(name), Buffer.from([0]));
}

export function basicQos(channel: number, prefetchCount: number): Buffer {
  return method(channel, 60, 10, u32(0), u16(prefetchCount), Buffer.from([0]));
}

export function basicConsume(
  channel: number,
  queue: string,
  tag: string,
  isAutoAck: boolean,
): Buffer {
  return method(
    channel,
    60,
    20,
    u16(0),
    shortString(queue),
    shortString(tag),
    Buffer.from([isAutoAck ? 2 : 0]),
    table({}),
  );
}

export function basicCancel(channel: number, tag: string): Buffer {
  return method(channel, 60, 30, shortString(tag), Buffer.from([0]));
}

export function confirmSelect(channel: number): Buffer {
  return method(channel, 85, 10, Buffer.from([0]));
}

/** basic.ack with tag 0, to be patched: the tag's 8 bytes start at ACK_TAG_OFFSET. */
export function basicAck(channel: number, isMultiple: boolean): Buffer {
  return method(channel, 60, 80, u64(0), Buffer.from([isMultiple ? 1 : 0]));
}

/** 7 bytes of frame head, 4 of class and method. */
export const ACK_TAG_OFFSET = 11;

export interface PublishTemplate {
  /** Method, header and body frames of one message. */
  readonly bytes: Buffer;
  /** Where the first body byte lies in `bytes`; -1 for an empty body. */
  readonly bodyOffset: number;
}

/** All frames of one basic.publish with a zero-filled body of `bodyBytes`. */
export function publish(
  channel: number,
  exchange: string,
  routingKey: string,
  isPersistent: boolean,
  bodyBytes: number,
  frameMaxBytes: number,
): PublishTemplate {
  const head = method(
    channel,
    60,
    40,
    u16(0),
    shortString(exchange),
    shortString(routingKey),
    Buffer.from([0]),
  );
  // Property flag bit 12 is delivery-mode; without it the message is transient.
  const properties = isPersistent ? [u16(0x1000), Buffer.from([2])] : [u16(0)];
  const header = frame(
    FRAME_HEADER,
    channel,
    Buffer.concat([u16(60), u16(0), u64(bodyBytes), ...properties]),
  );
  const pieces = [head, header];
  const pieceBytes = frameMaxBytes - FRAME_OVERHEAD_BYTES;
  for (let at = 0; at < bodyBytes; at += pieceBytes) {
    pieces.push(frame(FRAME_BODY, channel, Buffer.alloc(Math.min(pieceBytes, bodyBytes - at))));
  }
  return {
    bytes: Buffer.concat(pieces),
    bodyOffset: bodyBytes === 0 ? -1 : head.length + header.length + 7,
  };
}
