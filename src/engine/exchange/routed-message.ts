import type { FieldTable } from '../../base/field-value.ts';
import type { Message } from '../message.ts';
import type { CommonProperties, MessageFormat } from '../ports.ts';
import type { RoutedMessage } from './exchange.ts';

/** A message as routing sees it; decodes its header once, and only when a match asks for it. */
export class LazyRoutedMessage implements RoutedMessage {
  #message: Message;
  #format: MessageFormat;
  #headers: FieldTable | undefined;
  #properties: CommonProperties | undefined;
  #hasHeaders = false;

  constructor(message: Message, format: MessageFormat) {
    this.#message = message;
    this.#format = format;
  }

  /** Points this view at another message, so that a publisher can reuse one view. */
  aim(message: Message, format: MessageFormat): this {
    this.#message = message;
    this.#format = format;
    this.#headers = undefined;
    this.#properties = undefined;
    this.#hasHeaders = false;
    return this;
  }

  headers(): FieldTable | undefined {
    if (!this.#hasHeaders) {
      this.#headers = this.#format.headers(this.#message);
      this.#hasHeaders = true;
    }
    return this.#headers;
  }

  properties(): CommonProperties {
    return (this.#properties ??= this.#format.properties(this.#message));
  }
}
