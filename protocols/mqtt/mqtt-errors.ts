/**
 * Refusals in MQTT's terms. Everything about a code (its name, the packets it may stand in, what a
 * 3.x client gets instead, whether the connection survives) is in the table `spec/reason-codes.ts`;
 * this is the error that carries one, and the one way from a `BrokerError` to a code.
 */
import { BrokerError, ERRORS } from '../../src/base/errors.ts';
import {
  REASON_MALFORMED_PACKET,
  REASON_PROTOCOL_ERROR,
  REASON_UNSPECIFIED,
  type ReasonAnswer,
  isServerReason,
  reasonSpec,
} from './spec/reason-codes.ts';

/** What a client did that it gets a reason code for. `message` may go out as the reason string. */
export class MqttError extends Error {
  readonly reasonCode: number;

  constructor(reasonCode: number, text: string) {
    super(text);
    this.name = 'MqttError';
    this.reasonCode = reasonCode;
  }

  /** Whether the connection survives it, when the packet's acknowledgement may carry the code. */
  get answer(): ReasonAnswer {
    return reasonSpec(this.reasonCode)?.answer ?? 'close';
  }
}

/** Bytes that are no packet at all: wrong flags, a field cut short, bad UTF-8 (1.2, 0x81). */
export function malformed(text: string): MqttError {
  return new MqttError(REASON_MALFORMED_PACKET, text);
}

/** A packet that can be read but must not be sent so (1.2, 0x82). */
export function protocolError(text: string): MqttError {
  return new MqttError(REASON_PROTOCOL_ERROR, text);
}

/** The code to answer `error` with; 0x80 for what is neither ours nor the broker's. */
export function reasonCodeOf(error: unknown): number {
  if (error instanceof MqttError) return error.reasonCode;
  if (error instanceof BrokerError) return ERRORS[error.code].mqtt;
  return REASON_UNSPECIFIED;
}

/**
 * True when `error`, raised by a packet acknowledged with `ackType`, is answered there and the
 * connection goes on; else it ends. 3.x has no codes in publish acknowledgements: what is done
 * for those is the connection's policy.
 */
export function isAnsweredInAck(error: unknown, ackType: number): boolean {
  const code = reasonCodeOf(error);
  return reasonSpec(code)?.answer === 'ack' && isServerReason(code, ackType);
}
