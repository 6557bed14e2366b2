/**
 * RabbitMQ's destinations: what the text after `destination:` means, and how the place a message
 * came from is written.
 *
 *     /queue/NAME            the queue, declared when it is not there; so does NAME without a slash
 *     /amq/queue/NAME        the queue, which must exist
 *     /exchange/NAME[/KEY]   the exchange, which must exist
 *     /topic/KEY             amq.topic
 *     /temp-queue/NAME       in reply-to only: a queue of this connection
 *     /reply-queue/NAME      the queue a reply-to named; NAME may hold slashes
 *
 * A slash within a name is written `%2F`.
 */
import { StompError } from './stomp-error.ts';

export type DestinationKind =
  | 'queue'
  | 'amq-queue'
  | 'exchange'
  | 'topic'
  | 'temp-queue'
  | 'reply-queue';

export interface Destination {
  readonly kind: DestinationKind;
  /** The queue, or what publishing to it takes: exchange and routing key. */
  readonly exchange: string;
  readonly key: string;
}

/** The exchange behind `/topic`. */
const TOPIC_EXCHANGE = 'amq.topic';

const PREFIXES = '/temp-queue, /exchange, /topic, /queue, /amq/queue, /reply-queue/';

/** @throws StompError with RabbitMQ's texts when it is none of the above */
export function parseDestination(text: string): Destination {
  const parts = text.split('/');
  if (parts.length === 1) {
    if (text === '') throw new StompError('Invalid destination', 'Destination cannot be blank');
    return queueDestination('queue', unescapeName(text));
  }
  if (parts[0] === '') {
    const rest = parts.slice(2);
    switch (parts[1]) {
      case 'queue':
        return queueDestination('queue', oneName('queue', rest));
      case 'topic':
        return { kind: 'topic', exchange: TOPIC_EXCHANGE, key: oneName('topic', rest) };
      case 'temp-queue':
        return queueDestination('temp-queue', oneName('temp_queue', rest));
      case 'exchange':
        return exchangeDestination(rest);
      case 'amq':
        if (rest[0] !== 'queue') break;
        return queueDestination('amq-queue', oneName('amqqueue', rest.slice(1)));
      case 'reply-queue': {
        const name = rest.join('/');
        if (name === '') throw invalid('reply_queue', rest);
        return queueDestination('reply-queue', name);
      }
      default:
    }
  }
  throw new StompError(
    'Unknown destination',
    `'${text}' is not a valid destination.\nValid destination types are: ${PREFIXES}.\n`,
  );
}

/** What stands in `destination` of a MESSAGE. */
export function formatDestination(exchange: string, routingKey: string): string {
  if (exchange === '') return `/queue/${escapeName(routingKey)}`;
  if (exchange === TOPIC_EXCHANGE) return `/topic/${escapeName(routingKey)}`;
  if (routingKey === '') return `/exchange/${escapeName(exchange)}`;
  return `/exchange/${escapeName(exchange)}/${escapeName(routingKey)}`;
}

/** What stands in `reply-to` of a MESSAGE: a bare queue name becomes a destination. */
export function formatReplyTo(replyTo: string): string {
  return replyTo.startsWith('/') ? replyTo : `/reply-queue/${replyTo}`;
}

function queueDestination(kind: DestinationKind, name: string): Destination {
  return { kind, exchange: '', key: name };
}

function exchangeDestination(rest: readonly string[]): Destination {
  const [name = '', key = ''] = rest;
  if (name === '' || rest.length > 2) throw invalid('exchange', rest);
  return { kind: 'exchange', exchange: unescapeName(name), key: unescapeName(key) };
}

function oneName(type: string, rest: readonly string[]): string {
  const [name = ''] = rest;
  if (rest.length !== 1 || name === '') throw invalid(type, rest);
  return unescapeName(name);
}

function invalid(type: string, rest: readonly string[]): StompError {
  const shown = rest.length === 0 ? '' : `/${rest.join('/')}`;
  return new StompError('Invalid destination', `'${shown}' is not a valid ${type} destination\n`);
}

function unescapeName(name: string): string {
  return name.includes('%2F') ? name.replaceAll('%2F', '/') : name;
}

/** A `%` stays as it is: only `%2F` is read back. */
function escapeName(name: string): string {
  return name.includes('/') ? name.replaceAll('/', '%2F') : name;
}
