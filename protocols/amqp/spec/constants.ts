/** AMQP 0-9-1 wire numbers (specification 4.2 and the constants of its machine-readable form). */

/** Frame types (4.2.3). */
export const FRAME_METHOD = 1;
export const FRAME_HEADER = 2;
export const FRAME_BODY = 3;
export const FRAME_HEARTBEAT = 8;

/** Last octet of every frame. */
export const FRAME_END = 0xce;

/** Bytes before a frame's payload: type, channel, size. */
export const FRAME_HEAD_BYTES = 7;

/** Bytes of a frame that are not payload: its head and the end octet. */
export const FRAME_OVERHEAD_BYTES = FRAME_HEAD_BYTES + 1;

/** Class ids that code names. */
export const CLASS_CONNECTION = 10;
export const CLASS_CHANNEL = 20;
export const CLASS_BASIC = 60;

/** A method as one number, `class * 65536 + method`: the first four payload bytes as a u32. */
export const METHOD_BASIC_PUBLISH = CLASS_BASIC * 65_536 + 40;
export const METHOD_BASIC_ACK = CLASS_BASIC * 65_536 + 80;
export const METHOD_BASIC_REJECT = CLASS_BASIC * 65_536 + 90;
export const METHOD_BASIC_NACK = CLASS_BASIC * 65_536 + 120;
export const METHOD_CHANNEL_OPEN = CLASS_CHANNEL * 65_536 + 10;
export const METHOD_CHANNEL_CLOSE = CLASS_CHANNEL * 65_536 + 40;
export const METHOD_CHANNEL_CLOSE_OK = CLASS_CHANNEL * 65_536 + 41;
export const METHOD_CONNECTION_CLOSE = CLASS_CONNECTION * 65_536 + 50;
export const METHOD_CONNECTION_CLOSE_OK = CLASS_CONNECTION * 65_536 + 51;
export const METHOD_CONNECTION_UPDATE_SECRET = CLASS_CONNECTION * 65_536 + 70;

/** Property flags of class basic, bit 15 first on the wire (4.2.6.1). */
export const FLAG_CONTENT_TYPE = 0x8000;
export const FLAG_CONTENT_ENCODING = 0x4000;
export const FLAG_HEADERS = 0x2000;
export const FLAG_DELIVERY_MODE = 0x1000;
export const FLAG_PRIORITY = 0x0800;
export const FLAG_CORRELATION_ID = 0x0400;
export const FLAG_REPLY_TO = 0x0200;
export const FLAG_EXPIRATION = 0x0100;
export const FLAG_MESSAGE_ID = 0x0080;
export const FLAG_TIMESTAMP = 0x0040;
export const FLAG_TYPE = 0x0020;
export const FLAG_USER_ID = 0x0010;
export const FLAG_APP_ID = 0x0008;
export const FLAG_CLUSTER_ID = 0x0004;
/** Bits no property owns; bit 0 announces a second flag word, which class basic does not have. */
export const FLAGS_UNDEFINED = 0x0003;

/** Bytes of a content header before its properties: class, weight, body size, flags. */
export const CONTENT_HEADER_FIXED_BYTES = 14;
