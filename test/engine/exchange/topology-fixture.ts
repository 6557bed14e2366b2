import type { FieldTable, FieldValue } from '../../../src/base/field-value.ts';
import type { RandomSource } from '../../../src/base/random.ts';
import { createExchange } from '../../../src/engine/exchange/exchange-types.ts';
import type {
  Destination,
  Exchange,
  RoutedMessage,
} from '../../../src/engine/exchange/exchange.ts';
import type { CommonProperties } from '../../../src/engine/ports.ts';

/** Bytes 1, 2, 3 ...: random enough where only a seed is taken. */
export const countingRandom: RandomSource = {
  bytes: (byteCount) => Uint8Array.from({ length: byteCount }, (_, i) => (i + 1) & 0xff),
};

export function table(values: Record<string, FieldValue>): FieldTable {
  return new Map(Object.entries(values));
}

export function queue(name: string): Destination {
  return { name, isExchange: false };
}

export function exchange(
  type: string,
  name = 'x',
  args: Record<string, FieldValue> = {},
): Exchange {
  const options = {
    name,
    isDurable: true,
    isAutoDelete: false,
    isInternal: false,
    arguments: table(args),
  };
  return createExchange(type, options, { random: countingRandom });
}

export function messageWith(
  headers: Record<string, FieldValue>,
  properties: CommonProperties = {},
): RoutedMessage {
  return { headers: () => table(headers), properties: () => properties };
}

export function bind(
  from: Exchange,
  to: Destination,
  key = '',
  args: Record<string, FieldValue> = {},
): void {
  from.bind(to, key, table(args));
}

/** Names of what one exchange matches, sorted. */
export function matchNames(from: Exchange, key: string, message?: RoutedMessage): string[] {
  const out: Destination[] = [];
  from.match(key, message, out);
  return out.map((destination) => destination.name).sort();
}

/** The text of the error `run` throws; 'no error' when it does not. */
export function errorText(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return 'no error';
}
