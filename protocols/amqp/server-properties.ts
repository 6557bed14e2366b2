import type { FieldTable, FieldValue } from '../../src/base/field-value.ts';
import type { AmqpSettings } from './settings.ts';

/** What this broker can do beyond the specification; clients look each of them up by name. */
const CAPABILITIES = [
  'publisher_confirms',
  'exchange_exchange_bindings',
  'basic.nack',
  'consumer_cancel_notify',
  'connection.blocked',
  'consumer_priorities',
  'authentication_failure_close',
  'per_consumer_qos',
  'direct_reply_to',
] as const;

/** The table of connection.start, with the keys RabbitMQ sends. */
export function serverProperties(settings: AmqpSettings): FieldTable {
  const capabilities = new Map<string, FieldValue>(CAPABILITIES.map((name) => [name, true]));
  return new Map<string, FieldValue>([
    ['capabilities', capabilities],
    ['cluster_name', settings.clusterName],
    ['copyright', 'Copyright (c) the Tributary authors'],
    ['information', 'Licensed under the Apache License 2.0'],
    ['platform', `Node.js ${process.versions.node}`],
    ['product', settings.product],
    // What it really is: product and version are what clients switch on, and configurable.
    ['tributary_version', settings.gatewayVersion],
    ['version', settings.version],
  ]);
}
