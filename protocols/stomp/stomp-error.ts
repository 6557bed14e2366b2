import { BrokerError, type ErrorCode } from '../../src/base/errors.ts';

/** What an ERROR frame says: `message` in its header, `detail` in its body. */
export class StompError extends Error {
  readonly detail: string;

  /** @param message one of the short texts RabbitMQ uses */
  constructor(message: string, detail: string) {
    super(message);
    this.name = 'StompError';
    this.detail = detail;
  }
}

/** RabbitMQ names its errors in lower case in the header, in upper case in the text. */
function headerText(code: ErrorCode): string {
  return code.toLowerCase();
}

/** The one mapper of errors to ERROR frames; `isFault` when it is ours. */
export function toStompError(error: unknown): { error: StompError; isFault: boolean } {
  if (error instanceof StompError) return { error, isFault: false };
  if (error instanceof BrokerError) {
    const text = `${error.code} - ${error.message}`;
    return { error: new StompError(headerText(error.code), text), isFault: false };
  }
  return { error: new StompError('Processing error', 'Processing error'), isFault: true };
}
