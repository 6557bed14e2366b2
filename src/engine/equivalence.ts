/**
 * Whether a second declare asks for what is there: exchanges compare type, flags and the alternate
 * exchange; queues compare exclusivity, flags and the arguments their type knows. Reply texts are
 * RabbitMQ 4.3's.
 */
import { BrokerError } from '../base/errors.ts';
import type { FieldTable, FieldValue } from '../base/field-value.ts';
import { valuesEqual } from './exchange/argument-identity.ts';
import type { Exchange } from './exchange/exchange.ts';
import { plainText, typeName } from './field-text.ts';
import { argumentsOfType, queueTypeOf } from './queue/arguments.ts';

/** What a declare asks of an exchange. */
export interface ExchangeRequest {
  readonly type: string;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly internal: boolean;
  readonly arguments: FieldTable;
}

/** What is known of a queue, or asked of it. */
export interface QueueTraits {
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly arguments: FieldTable;
}

/** `queue 'q' in vhost '/'`, as every reply text names a resource. */
export function resourceText(kind: string, name: string, vhost: string): string {
  return `${kind} '${name}' in vhost '${vhost}'`;
}

/**
 * Compares one flag or name.
 * @throws BrokerError PRECONDITION_FAILED
 */
export function checkField(
  resource: string,
  field: string,
  current: string | boolean,
  requested: string | boolean,
): void {
  if (current === requested) return;
  failInequivalent(resource, field, `'${requested}'`, `'${current}'`);
}

/**
 * Compares the named arguments; integers compare across widths, other kinds must agree.
 * @throws BrokerError PRECONDITION_FAILED
 */
export function checkArguments(
  resource: string,
  names: Iterable<string>,
  current: FieldTable,
  requested: FieldTable,
): void {
  for (const name of names) {
    const defaultValue = name === 'x-queue-type' ? 'classic' : undefined;
    const a = current.has(name) ? current.get(name) : defaultValue;
    const b = requested.has(name) ? requested.get(name) : defaultValue;
    if (a !== undefined && b !== undefined) {
      if (valuesEqual(a, b)) continue;
      failInequivalent(resource, name, `'${plainText(b)}'`, `'${plainText(a)}'`);
    } else if (a !== undefined || b !== undefined) {
      failInequivalent(resource, name, argumentText(b), argumentText(a));
    }
  }
}

/**
 * Checks a redeclare of an existing exchange; the type is known (`checkExchangeType` came first).
 * @throws BrokerError PRECONDITION_FAILED
 */
export function checkExchangeEquivalence(
  vhost: string,
  current: Exchange,
  requested: ExchangeRequest,
): void {
  const resource = resourceText('exchange', current.name, vhost);
  checkField(resource, 'type', current.type, requested.type);
  checkField(resource, 'durable', current.isDurable, requested.durable);
  checkField(resource, 'auto_delete', current.isAutoDelete, requested.autoDelete);
  checkField(resource, 'internal', current.isInternal, requested.internal);
  checkArguments(resource, ['alternate-exchange'], current.arguments, requested.arguments);
}

/**
 * Checks a redeclare of an existing queue.
 *
 * @param isLocked the queue is exclusive to another connection, or it is exclusive and the request
 *   is not, or the other way round
 * @throws BrokerError RESOURCE_LOCKED or PRECONDITION_FAILED
 */
export function checkQueueEquivalence(
  vhost: string,
  name: string,
  current: QueueTraits,
  requested: QueueTraits,
  isLocked: boolean,
): void {
  const resource = resourceText('queue', name, vhost);
  if (isLocked) throw lockedQueueError(vhost, name);
  checkField(resource, 'durable', current.durable, requested.durable);
  checkField(resource, 'auto_delete', current.autoDelete, requested.autoDelete);
  const names = argumentsOfType(queueTypeOf(current.arguments));
  checkArguments(resource, names, current.arguments, requested.arguments);
}

/** The answer to any use of another connection's exclusive queue. */
export function lockedQueueError(vhost: string, name: string): BrokerError {
  return new BrokerError(
    'RESOURCE_LOCKED',
    `cannot obtain exclusive access to locked ${resourceText('queue', name, vhost)}. It could be ` +
      'originally declared on another connection or the exclusive property value does not match ' +
      'that of the original declaration.',
  );
}

function argumentText(value: FieldValue | undefined): string {
  if (value === undefined) return 'none';
  return `the value '${plainText(value)}' of type '${typeName(value)}'`;
}

function failInequivalent(
  resource: string,
  field: string,
  received: string,
  current: string,
): never {
  throw new BrokerError(
    'PRECONDITION_FAILED',
    `inequivalent arg '${field}' for ${resource}: received ${received} but current is ${current}`,
  );
}
