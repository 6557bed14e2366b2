/** Limits of the STOMP side: unit and why. */

/** Bytes of command and headers of a frame. */
export const HEAD_BYTES_MAX = 64 * 1024;

/** Bytes of command and headers before the login: a token as password fits. */
export const LOGIN_HEAD_BYTES_MAX = 16 * 1024;

/** Bytes of a body before the login; CONNECT has none. */
export const LOGIN_BODY_BYTES_MAX = 1024;

/** Headers of a frame. */
export const HEADER_COUNT_MAX = 1_000;

/** Subscriptions of a connection. */
export const SUBSCRIPTIONS_MAX = 2_000;

/** Transactions open at a time on a connection (RabbitMQ's figure). */
export const TRANSACTIONS_MAX = 16;

/** Sends, acks and nacks in one transaction (RabbitMQ's figure). */
export const TRANSACTION_ACTIONS_MAX = 1_024;

/** Bytes of messages kept in the open transactions of a connection. */
export const TRANSACTION_BYTES_MAX = 64 * 1024 * 1024;

/** Receipts a client may be owed: each keeps its id until the disk has its message. */
export const PENDING_RECEIPTS_MAX = 100_000;

/** Temporary reply queues of a connection. */
export const REPLY_QUEUES_MAX = 64;

/** Ms. Shortest heart-beat interval agreed to, as RabbitMQ; shorter wishes are rounded up. */
export const HEART_BEAT_MS_MIN = 1_000;

/** Ms. Longest heart-beat interval that is kept count of: a day. */
export const HEART_BEAT_MS_MAX = 86_400_000;
