import { BrokerError, type ErrorCode } from '../../src/base/errors.ts';
import type { CmqHandler } from './dispatcher.ts';
import type { ActionSpec } from './spec/actions.ts';
import { type CmqErrorName, errorText } from './spec/errors.ts';

/** A call that fails: what the client is told. */
export class CmqFailure extends Error {
  readonly error: CmqErrorName;
  /** Further fields of the reply, such as `errorList`. */
  readonly fields: Readonly<Record<string, unknown>>;

  /** @param text for the client; the vendor's text without */
  constructor(error: CmqErrorName, text?: string, fields: Readonly<Record<string, unknown>> = {}) {
    super(text ?? errorText(error));
    this.name = 'CmqFailure';
    this.error = error;
    this.fields = fields;
  }
}

/** A parameter's value cannot be. */
export function parameterFailure(error: CmqErrorName, parameter: string): CmqFailure {
  return new CmqFailure(error, errorText(error, parameter));
}

/** Handlers by action, with what the engine refuses (`nameOf`) in CMQ's terms. */
export function withRefusals(
  handlers: Readonly<Record<string, CmqHandler>>,
  nameOf: (error: Error) => { readonly name: CmqErrorName; readonly text?: string } | undefined,
): [string, CmqHandler][] {
  return Object.entries(handlers).map(([action, handler]) => [
    action,
    (call) => {
      try {
        handler(call);
      } catch (error) {
        const refusal = nameOf(error as Error);
        if (refusal === undefined) throw error;
        throw new CmqFailure(refusal.name, refusal.text);
      }
    },
  ]);
}

type Row = Pick<ActionSpec, 'resource' | 'failure'>;

/** What the engine's errors are in CMQ; `undefined`: a fault of ours. */
const BROKER_ERRORS: Readonly<Record<ErrorCode, ((row: Row) => CmqErrorName) | undefined>> = {
  CONTENT_TOO_LARGE: () => 'MESSAGE_TOO_LARGE',
  ACCESS_REFUSED: () => 'PERMISSION_DENIED',
  NOT_ALLOWED: () => 'ACCOUNT_ILLEGAL',
  NOT_FOUND: ({ resource }) => (resource === 'queue' ? 'QUEUE_NOT_FOUND' : 'TOPIC_NOT_FOUND'),
  RESOURCE_LOCKED: () => 'PERMISSION_DENIED',
  PRECONDITION_FAILED: () => 'PARAMETERS_WRONG',
  RESOURCE_ERROR: ({ failure }) => failure,
  CONNECTION_FORCED: ({ failure }) => failure,
  NOT_IMPLEMENTED: () => 'PARAMETERS_WRONG',
  FRAME_ERROR: undefined,
  SYNTAX_ERROR: undefined,
  COMMAND_INVALID: undefined,
  CHANNEL_ERROR: undefined,
  UNEXPECTED_FRAME: undefined,
  INTERNAL_ERROR: undefined,
};

/** The one mapper of errors to CMQ's; `isFault` when it is ours. */
export function toCmqFailure(
  error: unknown,
  row: Row,
): { readonly failure: CmqFailure; readonly isFault: boolean } {
  if (error instanceof CmqFailure) return { failure: error, isFault: false };
  if (error instanceof BrokerError) {
    const name = BROKER_ERRORS[error.code]?.(row);
    if (name !== undefined) {
      return { failure: new CmqFailure(name, error.message), isFault: false };
    }
  }
  return { failure: new CmqFailure(row.failure), isFault: true };
}
