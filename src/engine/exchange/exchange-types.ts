/**
 * The exchange types: one row per type, with the check of its declare arguments and its factory.
 * Reply texts are RabbitMQ 4.3's.
 */
import { BrokerError } from '../../base/errors.ts';
import type { FieldTable } from '../../base/field-value.ts';
import type { RandomSource } from '../../base/random.ts';
import { typeName } from '../field-text.ts';
import { ConsistentHashExchange } from './consistent-hash-exchange.ts';
import { DirectExchange } from './direct-exchange.ts';
import type { Exchange, ExchangeOptions } from './exchange.ts';
import { FanoutExchange } from './fanout-exchange.ts';
import { HeadersExchange } from './headers-exchange.ts';
import { ModulusHashExchange } from './modulus-hash-exchange.ts';
import { RandomExchange } from './random-exchange.ts';
import { TagsExchange } from './tags-exchange.ts';
import { TopicExchange } from './topic-exchange.ts';

/** What factories need besides the options. */
export interface ExchangeContext {
  readonly random: RandomSource;
}

interface ExchangeType {
  readonly create: (type: string, options: ExchangeOptions, context: ExchangeContext) => Exchange;
  readonly validate?: (args: FieldTable) => void;
}

const DELAYED_TYPE = 'x-delayed-message';

const TYPES: ReadonlyMap<string, ExchangeType> = new Map<string, ExchangeType>([
  ['direct', { create: (type, options) => new DirectExchange(type, options) }],
  ['fanout', { create: (type, options) => new FanoutExchange(type, options) }],
  ['topic', { create: (type, options) => new TopicExchange(type, options) }],
  ['headers', { create: (type, options) => new HeadersExchange(type, options) }],
  [
    'x-consistent-hash',
    {
      create: (type, options) => new ConsistentHashExchange(type, options),
      validate: validateHashArguments,
    },
  ],
  ['x-modulus-hash', { create: (type, options) => new ModulusHashExchange(type, options) }],
  ['x-random', { create: createRandom }],
  ['x-local-random', { create: createRandom }],
  ['x-tags', { create: (type, options) => new TagsExchange(type, options) }],
  [DELAYED_TYPE, { create: createDelayed, validate: validateDelayed }],
]);

/** Every type name, in the order of the table; for the management API and the docs. */
export const EXCHANGE_TYPE_NAMES: readonly string[] = [...TYPES.keys()];

/**
 * Checks that the type exists. Comes first in a declare, even of an existing exchange.
 * @throws BrokerError PRECONDITION_FAILED
 */
export function checkExchangeType(type: string): void {
  if (!TYPES.has(type)) refuse(`${type === '' ? 'invalid' : 'unknown'} exchange type '${type}'`);
}

/**
 * Makes an exchange after checking its type and arguments.
 * @throws BrokerError PRECONDITION_FAILED with RabbitMQ's text
 */
export function createExchange(
  type: string,
  options: ExchangeOptions,
  context: ExchangeContext,
): Exchange {
  const row = TYPES.get(type) ?? refuse(`unknown exchange type '${type}'`);
  row.validate?.(options.arguments);
  return row.create(type, options, context);
}

function createRandom(type: string, options: ExchangeOptions, context: ExchangeContext): Exchange {
  const bytes = context.random.bytes(4);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return new RandomExchange(type, options, view.getInt32(0));
}

/** An x-delayed-message exchange is its inner type under another name; the engine delays. */
function createDelayed(type: string, options: ExchangeOptions, context: ExchangeContext): Exchange {
  const inner = TYPES.get(innerTypeOf(options.arguments) ?? '');
  if (inner === undefined) return refuse(DELAYED_TEXT);
  return inner.create(type, options, context);
}

const DELAYED_TEXT =
  "Invalid argument, 'x-delayed-type' must be an existing exchange type " +
  "and cannot be 'x-delayed-message'";

function validateDelayed(args: FieldTable): void {
  const innerType = innerTypeOf(args);
  const inner = innerType === undefined ? undefined : TYPES.get(innerType);
  if (inner === undefined || innerType === DELAYED_TYPE) refuse(DELAYED_TEXT);
  inner.validate?.(args);
}

function innerTypeOf(args: FieldTable): string | undefined {
  const value = args.get('x-delayed-type');
  return typeof value === 'string' ? value : undefined;
}

const HASH_PROPERTIES: ReadonlySet<string> = new Set(['correlation_id', 'message_id', 'timestamp']);

function validateHashArguments(args: FieldTable): void {
  const header = args.get('hash-header');
  const property = args.get('hash-property');
  if (header !== undefined && property !== undefined) {
    refuse('hash-header and hash-property are mutually exclusive');
  }
  for (const [name, value] of [
    ['hash-header', header],
    ['hash-property', property],
  ] as const) {
    if (value !== undefined && typeof value !== 'string') {
      refuse(`invalid type '${typeName(value)}' for arg '${name}', expected longstr`);
    }
  }
  if (typeof property === 'string' && !HASH_PROPERTIES.has(property)) {
    refuse(`Unsupported property: ${property}`);
  }
}

function refuse(text: string): never {
  throw new BrokerError('PRECONDITION_FAILED', text);
}
