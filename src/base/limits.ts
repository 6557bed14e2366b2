/**
 * Every hard limit of the engine and the protocols: name, value, unit, why. Limits that an
 * operator may change are defaults here and options in server/config.ts.
 */

/** Bytes. One frame of a peer that has not logged in yet (RabbitMQ's initial_frame_max). */
export const PRE_LOGIN_FRAME_BYTES_MAX = 8_192;

/** Bytes. Smallest frame_max a client may ask for; the specification's own minimum (4.2.3). */
export const FRAME_BYTES_MIN = 4_096;

/** Bytes. Our frame_max offer, RabbitMQ's default: 128 KiB amortise the 8 bytes of framing. */
export const FRAME_BYTES_DEFAULT = 131_072;

/** Channels per connection; RabbitMQ's default, which clients' tests expect. */
export const CHANNEL_COUNT_MAX = 2_047;

/** Seconds between heartbeats we propose. */
export const HEARTBEAT_SECONDS_DEFAULT = 60;

/** Bytes. Default max message size; 64 MiB passes every stock client's large-message test. */
export const MESSAGE_BYTES_DEFAULT = 64 * 1024 * 1024;

/** Bytes. Largest max message size that can be configured. */
export const MESSAGE_BYTES_MAX = 128 * 1024 * 1024;

/** Bytes. A claimed body size above this is a framing lie (RabbitMQ's hard cap). */
export const BODY_BYTES_HARD_CAP = 512 * 1024 * 1024;

/** Levels of nesting in a field table: deeper ones only serve stack attacks. */
export const TABLE_DEPTH_MAX = 32;

/**
 * Bytes of replies (gets, returns) a client may leave unread before it is not read any more. Far
 * above the outbound high-water mark, where deliveries stop, so that a client which is busy writing
 * acks is never waited for.
 */
export const UNREAD_REPLY_BYTES_MAX = 16 * 1024 * 1024;

/** Ms a peer has from connect to open-ok. */
export const HANDSHAKE_MS_MAX = 10_000;

/** Ms to settle a delivery of a quorum queue; RabbitMQ's default, half an hour. */
export const CONSUMER_TIMEOUT_MS_DEFAULT = 30 * 60 * 1_000;

/** Bytes in a short string or a name (one length octet on the wire). */
export const NAME_BYTES_MAX = 255;

/** Bytes an entry in memory costs beyond its body: two objects, header, ring slot (measured). */
export const ENTRY_OVERHEAD_BYTES = 320;

/**
 * Bytes of one queue kept decoded at its head: some 100,000 small messages. Large enough that a
 * consumer some hundred ms behind is served from memory. When all queues hold half of
 * RESIDENT_BYTES_TIGHT, each gets its share of that instead.
 */
export const HEAD_WINDOW_BYTES = 32 * 1024 * 1024;

/** Bytes of the smallest window: 10,000 queues at it hold 160 MiB. */
export const HEAD_WINDOW_BYTES_MIN = 16 * 1024;

/** Bytes of entries in memory that all queues share; reads of backlog are small above it. */
export const RESIDENT_BYTES_TIGHT = 128 * 1024 * 1024;

/** Entries fetched by one read of paged backlog: large enough to amortise one SQLite read. */
export const PAGE_IN_ENTRIES = 4_096;

/** Bytes fetched by one read of paged backlog. */
export const PAGE_IN_BYTES = 2 * 1024 * 1024;

/** Deliveries of one queue in one turn; then other queues and sockets have theirs. */
export const DELIVERIES_PER_TURN = 2_048;

/** Messages of one queue that age, TTL or a length ends in one turn: each may be dead-lettered. */
export const EXPIRIES_PER_TURN = 4_096;

/** Entries read from disk in the search for one message id. */
export const FIND_SCAN_ENTRIES_MAX = 200_000;

/**
 * Bytes of bodies from which on one reply takes no more messages: escaped, sixteen of 64 MiB would
 * be 6 GiB of JSON. What CMQ itself takes never gets there.
 */
export const REPLY_BODIES_BYTES_ENOUGH = 16 * 1024 * 1024;

/** Ms of a lease by handle where neither the receive nor the queue says (CMQ's default). */
export const VISIBILITY_MS_DEFAULT = 30_000;

/**
 * Entries by which the persisted "delivered below" mark runs ahead of delivery. Larger means fewer
 * marks and more entries falsely marked redelivered after a crash (never the reverse).
 */
export const DELIVERED_MARK_AHEAD = 8_192;

/** Bytes of commits buffered or at the disk above which publishing sockets are paused. */
export const COMMIT_BACKLOG_BYTES_HIGH = 32 * 1024 * 1024;

/** Bytes of commit backlog below which they are read again. */
export const COMMIT_BACKLOG_BYTES_LOW = 8 * 1024 * 1024;

/**
 * Ms. Longest delay: a hundred years, so that a due time is a date. RabbitMQ's plugin ends at
 * 2^32 - 1 and does not delay at all what asks for more.
 */
export const DELAY_MS_MAX = 100 * 366 * 86_400_000;

/** Ms. Longest TTL of a message, and expiry of a queue: ten years, as in RabbitMQ. */
export const LIFETIME_MS_MAX = 315_360_000_000;

/** Delayed messages kept in memory per exchange; beyond it only their due times are. */
export const DELAYED_RESIDENT_ENTRIES = 16_384;

/** Bytes of delayed messages kept in memory per exchange or queue. */
export const DELAYED_RESIDENT_BYTES = 8 * 1024 * 1024;

/** Delayed messages released in one turn per exchange. */
export const DELAYED_RELEASES_PER_TURN = 4_096;

/**
 * Settled messages kept in memory per rewind window; few, because they are rarely wanted again and
 * every queue may have a window.
 */
export const REWIND_RESIDENT_ENTRIES = 1_024;

/** Bytes of settled messages kept in memory per rewind window. */
export const REWIND_RESIDENT_BYTES = 256 * 1024;

/** Messages given back by a rewind in one turn: each is appended to its queue, some 5 us. */
export const REWIND_RETURNS_PER_TURN = 1_024;

/** Messages that a rewind looks past in one turn: older than what it is to give back. */
export const REWIND_SKIPS_PER_TURN = 8_192;

/** Messages dropped from a rewind window in one turn. */
export const REWIND_DROPS_PER_TURN = 16_384;

/** Dead letters that one death may lead to, by overflow after overflow, before they are lost. */
export const DEATHS_PER_RUN_MAX = 16_384;

/** Bytes of a stream segment, the unit of retention (RabbitMQ's default). */
export const STREAM_SEGMENT_BYTES_DEFAULT = 500_000_000;

/**
 * Levels of all filters of one session: a filter of 64 KiB has up to 65,536, and each costs some
 * 200 bytes. A client with more is told that its quota is exceeded.
 */
export const SESSION_LEVELS_MAX = 500_000;

/** The same of all sessions of a vhost. */
export const SUBSCRIPTION_LEVELS_MAX = 5_000_000;

/** Retained messages per vhost: bounds memory and start-up. */
export const RETAINED_MESSAGES_MAX = 1_000_000;

/** Levels of their topics per vhost, each some 300 bytes: a topic has up to 65,536. */
export const RETAINED_LEVELS_MAX = 4_000_000;

/** Bytes of retained messages per vhost; they live in memory. */
export const RETAINED_BYTES_MAX = 256 * 1024 * 1024;

/**
 * Bytes of log lines that wait while they cannot be written (the reader of a pipe stalls, a disk is
 * full): thousands of lines, and nothing beside what the process needs anyway.
 */
export const LOG_HELD_BYTES_MAX = 1024 * 1024;

/** Bytes of lines beyond it that a human must see: the ready line, errors, how many are lost. */
export const LOG_URGENT_BYTES_MAX = 64 * 1024;
