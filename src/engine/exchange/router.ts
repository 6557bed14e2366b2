/**
 * Routing: from an exchange and the routing keys of a message to the queues that get it.
 *
 * The plain case, an exchange without bindings to other exchanges, is one `match` into the caller's
 * list. Otherwise the graph of exchanges is walked, each at most once per message, so cycles end.
 * An exchange that matches nothing is replaced by its alternate exchange, which belongs to the same
 * walk and the same visited set.
 */
import type { Destination, Exchange, RoutedMessage } from './exchange.ts';

/** Looks an exchange up by name in the vhost; undefined when there is none now. */
export type ExchangeLookup = (name: string) => Exchange | undefined;

/** Below this many destinations, comparing pairs beats building a set. */
const PAIRWISE_MAX = 16;

/**
 * Appends every queue the message goes to, each once, to `out`, which the caller passes empty.
 *
 * @param keys routing key first, then those of CC and BCC; at least one
 * @param message needed by exchanges with `needsMessage`; may be undefined when the walk has none
 */
export function route(
  start: Exchange,
  keys: readonly string[],
  message: RoutedMessage | undefined,
  lookupExchange: ExchangeLookup,
  out: Destination[],
): void {
  if (start.exchangeBindingCount > 0) {
    walk(start, keys, message, lookupExchange, out);
    return;
  }
  matchKeys(start, keys, message, out);
  if (out.length === 0 && start.alternateExchange !== undefined) {
    walk(start, keys, message, lookupExchange, out);
  }
}

/** Matches one exchange against all keys; each destination comes once. */
function matchKeys(
  exchange: Exchange,
  keys: readonly string[],
  message: RoutedMessage | undefined,
  out: Destination[],
): void {
  exchange.match(keys[0] ?? '', message, out);
  if (keys.length < 2 || !exchange.matchesEachKey) return;
  for (let i = 1; i < keys.length; i++) exchange.match(keys[i] ?? '', message, out);
  removeDuplicates(out);
}

function walk(
  start: Exchange,
  keys: readonly string[],
  message: RoutedMessage | undefined,
  lookupExchange: ExchangeLookup,
  out: Destination[],
): void {
  const visited = new Set<Exchange>([start]);
  const pending: Exchange[] = [start];
  const matched: Destination[] = [];
  const visit = (exchange: Exchange): void => {
    if (visited.has(exchange)) return;
    visited.add(exchange);
    pending.push(exchange);
  };
  for (let exchange = pending.pop(); exchange !== undefined; exchange = pending.pop()) {
    matched.length = 0;
    matchKeys(exchange, keys, message, matched);
    if (matched.length === 0 && exchange.alternateExchange !== undefined) {
      const alternate = lookupExchange(exchange.alternateExchange);
      if (alternate !== undefined) visit(alternate);
    }
    for (const destination of matched) {
      if (destination.isExchange) visit(destination as Exchange);
      else out.push(destination);
    }
  }
  removeDuplicates(out);
}

/** Keeps the first of each destination, in place. */
function removeDuplicates(list: Destination[]): void {
  if (list.length < 2) return;
  let kept = 0;
  if (list.length <= PAIRWISE_MAX) {
    for (let i = 0; i < list.length; i++) {
      const item = list[i] as Destination;
      if (list.indexOf(item) === i) list[kept++] = item;
    }
  } else {
    const seen = new Set<Destination>();
    for (let i = 0; i < list.length; i++) {
      const item = list[i] as Destination;
      if (seen.has(item)) continue;
      seen.add(item);
      list[kept++] = item;
    }
  }
  list.length = kept;
}
