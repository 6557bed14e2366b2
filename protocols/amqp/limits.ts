/** Limits of the AMQP side alone: unit and why. */

/**
 * Bytes in memory of what is published in the open transactions of a connection and not committed:
 * as much as the largest message that can be configured has.
 */
export const TRANSACTION_BYTES_MAX = 128 * 1024 * 1024;
