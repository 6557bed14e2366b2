/**
 * The one place where an error becomes AMQP: reply code, scope and reply text.
 *
 * The text is `CODE - explanation`, as RabbitMQ writes it and clients parse it, cut to the 255
 * bytes of a short string.
 */
import { BrokerError, ERRORS, type ErrorCode } from '../../src/base/errors.ts';
import { fitShortString } from './frame-writer.ts';

/** What connection.close or channel.close will say. */
export interface CloseReason {
  readonly code: ErrorCode;
  readonly replyCode: number;
  readonly replyText: string;
  /** True: the connection ends; false: the channel. */
  readonly endsConnection: boolean;
  /** Class and method that failed; 0 when none did. */
  readonly classId: number;
  readonly methodId: number;
  /** True when the error is a fault of this program, to be logged with its stack. */
  readonly isFault: boolean;
}

/**
 * Maps anything thrown while a method was served.
 *
 * @param method `class * 65536 + method`, or 0
 */
export function closeReason(error: unknown, method: number): CloseReason {
  const isExpected = error instanceof BrokerError;
  const code: ErrorCode = isExpected ? error.code : 'INTERNAL_ERROR';
  const endsConnection = !isExpected || error.scope === 'connection' || error.scope === 'process';
  const text = isExpected ? error.message : 'unexpected error; see the broker log';
  return {
    code,
    replyCode: ERRORS[code].amqp,
    replyText: fitShortString(`${code} - ${text}`),
    endsConnection,
    classId: method >>> 16,
    methodId: method & 0xffff,
    isFault: !isExpected,
  };
}
