/**
 * Operating errors: the one table of stable codes, and the one class that carries them.
 *
 * A `BrokerError` is an answer the peer can act on (bad argument, missing queue, no right). Each
 * protocol has exactly one mapper from it to its own wire form. Programmer errors are asserts
 * (`assert.ts`), never a `BrokerError`. A full queue, no route and an empty get are results.
 */

/** How much of the peer's state the error ends. */
export type ErrorScope = 'operation' | 'channel' | 'connection' | 'process';

interface ErrorRow {
  /** AMQP 0-9-1 reply code (spec 1.2, constants). */
  readonly amqp: number;
  /** Default scope, as RabbitMQ treats it. */
  readonly scope: ErrorScope;
  /** MQTT 5 reason code. */
  readonly mqtt: number;
  /** HTTP status. */
  readonly http: number;
}

/** Every operating error, named by its AMQP constant where one exists. */
export const ERRORS = {
  CONTENT_TOO_LARGE: { amqp: 311, scope: 'channel', mqtt: 0x95, http: 413 },
  CONNECTION_FORCED: { amqp: 320, scope: 'connection', mqtt: 0x8b, http: 503 },
  ACCESS_REFUSED: { amqp: 403, scope: 'channel', mqtt: 0x87, http: 403 },
  NOT_FOUND: { amqp: 404, scope: 'channel', mqtt: 0x83, http: 404 },
  RESOURCE_LOCKED: { amqp: 405, scope: 'channel', mqtt: 0x83, http: 409 },
  PRECONDITION_FAILED: { amqp: 406, scope: 'channel', mqtt: 0x83, http: 400 },
  FRAME_ERROR: { amqp: 501, scope: 'connection', mqtt: 0x81, http: 400 },
  SYNTAX_ERROR: { amqp: 502, scope: 'connection', mqtt: 0x81, http: 400 },
  COMMAND_INVALID: { amqp: 503, scope: 'connection', mqtt: 0x82, http: 400 },
  CHANNEL_ERROR: { amqp: 504, scope: 'connection', mqtt: 0x82, http: 400 },
  UNEXPECTED_FRAME: { amqp: 505, scope: 'connection', mqtt: 0x82, http: 400 },
  RESOURCE_ERROR: { amqp: 506, scope: 'connection', mqtt: 0x97, http: 503 },
  NOT_ALLOWED: { amqp: 530, scope: 'connection', mqtt: 0x87, http: 403 },
  NOT_IMPLEMENTED: { amqp: 540, scope: 'connection', mqtt: 0x83, http: 501 },
  INTERNAL_ERROR: { amqp: 541, scope: 'connection', mqtt: 0x80, http: 500 },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

/**
 * An expected failure, with the code and scope every protocol can map. `text` has no code prefix.
 */
export class BrokerError extends Error {
  readonly code: ErrorCode;
  readonly scope: ErrorScope;

  constructor(code: ErrorCode, text: string, scope: ErrorScope = ERRORS[code].scope) {
    super(text);
    this.name = 'BrokerError';
    this.code = code;
    this.scope = scope;
  }
}
