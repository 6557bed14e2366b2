/**
 * The probes: small requests whose outcome tells brokers apart, as data. `expected` is what
 * RabbitMQ 4.3.6 does, in one line:
 *
 *     ok                                  the script ended without a close
 *     312 return NO_ROUTE                 a basic.return came
 *     404 channel NOT_FOUND - no ...      channel.close with this code and text
 *     530 connection NOT_ALLOWED - ...    connection.close
 *     socket                              the socket ended without a close
 *
 * Names in texts are normalised: `<q>`, `<x>`, `<v>` for queue, exchange and vhost, `<u>` user.
 * `tolerance` holds what ours answers instead, with the reason.
 */
import {
  encodeTable,
  tagged,
  type BasicProperties,
  type MethodArgs,
} from '../support/amqp-wire.ts';
import type { WireChannel, WireConnection } from '../support/wire-client.ts';

/** What a probe's script works with. */
export interface ProbeContext {
  readonly connection: WireConnection;
  readonly channel: WireChannel;
  /** A queue name that is not declared yet, always the same within the probe. */
  readonly q: string;
  /** An exchange name that is not declared yet. */
  readonly x: string;
  /** Another connection, for what belongs to somebody else. */
  other(): Promise<WireChannel>;
  /** A socket on which nothing was said. */
  dial(): Promise<WireConnection>;
}

export interface Probe {
  readonly name: string;
  readonly script: (p: ProbeContext) => Promise<unknown>;
  readonly expected: string;
  readonly tolerance?: { readonly ours: string; readonly reason: string };
}

export const quorum = { 'x-queue-type': 'quorum' };
export const stream = { 'x-queue-type': 'stream' };
const REPLY = 'amq.rabbitmq.reply-to';

/** Declares the probe's queue. */
const declare =
  (options: Partial<MethodArgs> = {}) =>
  async (p: ProbeContext): Promise<void> => {
    await p.channel.queue(p.q, options);
  };

/** Declares the queue in one way, then in another. */
export const redeclare =
  (first: Partial<MethodArgs>, second: Partial<MethodArgs>) =>
  async (p: ProbeContext): Promise<void> => {
    await p.channel.queue(p.q, first);
    await p.channel.queue(p.q, second);
  };

/** Declares an exclusive queue with arguments. */
export const withArgs = (args: MethodArgs['arguments']) =>
  declare({ durable: true, arguments: args });

/** Publishes to the probe's own queue with properties. */
export const publishWith =
  (properties: BasicProperties, flags: Partial<MethodArgs> = {}) =>
  async (p: ProbeContext): Promise<void> => {
    await p.channel.queue(p.q, { exclusive: true });
    p.channel.publish('', p.q, 'x', properties, flags);
    await p.channel.sync();
  };

/** One request on the fresh channel. */
const request =
  (method: string, args: (p: ProbeContext) => Partial<MethodArgs>) =>
  async (p: ProbeContext): Promise<void> => {
    if (method === 'basic.get') await p.channel.get(args(p).queue!);
    else await p.channel.call(method, args(p));
  };

/** The same request on another connection's exclusive queue. */
const foreign =
  (method: string, args: Partial<MethodArgs> = {}) =>
  async (p: ProbeContext): Promise<void> => {
    const owner = await p.other();
    await owner.queue(p.q, { exclusive: true });
    await owner.bind(p.q, 'amq.direct', 'k');
    if (method === 'basic.get') await p.channel.get(p.q);
    else await p.channel.call(method, { queue: p.q, ...args });
  };

async function consumedOnce(p: ProbeContext): Promise<number> {
  await p.channel.queue(p.q, { exclusive: true });
  p.channel.publish('', p.q, 'x');
  return (await p.channel.getSoon(p.q, false)).tag;
}

export async function durableStream(p: ProbeContext): Promise<void> {
  await p.channel.queue(p.q, { durable: true, arguments: stream });
}

export const PROBES: readonly Probe[] = [
  {
    name: 'passive declare of a missing queue',
    script: request('queue.declare', (p) => ({ queue: p.q, passive: true })),
    expected: "404 channel NOT_FOUND - no queue '<q>' in vhost '<v>'",
  },
  {
    name: 'passive declare of a missing exchange',
    script: request('exchange.declare', (p) => ({ exchange: p.x, passive: true })),
    expected: "404 channel NOT_FOUND - no exchange '<x>' in vhost '<v>'",
  },
  {
    name: 'new queue under amq.',
    script: request('queue.declare', () => ({ queue: 'amq.mine' })),
    expected: "403 channel ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'",
  },
  {
    name: 'new exchange under amq.',
    script: request('exchange.declare', () => ({ exchange: 'amq.mine', type: 'direct' })),
    expected:
      "403 channel ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*'",
  },
  {
    name: 'redeclare amq.direct alike',
    script: request('exchange.declare', () => ({
      exchange: 'amq.direct',
      type: 'direct',
      durable: true,
    })),
    expected: 'ok',
  },
  {
    name: 'redeclare amq.direct with another type',
    script: request('exchange.declare', () => ({
      exchange: 'amq.direct',
      type: 'fanout',
      durable: true,
    })),
    expected:
      "406 channel PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'amq.direct' in vhost '<v>': received 'fanout' but current is 'direct'",
  },
  {
    name: 'redeclare amq.direct not durable',
    script: request('exchange.declare', () => ({ exchange: 'amq.direct', type: 'direct' })),
    expected:
      "406 channel PRECONDITION_FAILED - inequivalent arg 'durable' for exchange 'amq.direct' in vhost '<v>': received 'false' but current is 'true'",
  },
  {
    name: 'declare the default exchange',
    script: request('exchange.declare', () => ({ exchange: '', type: 'direct' })),
    expected: '403 channel ACCESS_REFUSED - operation not permitted on the default exchange',
  },
  {
    name: 'passive declare of the default exchange',
    script: request('exchange.declare', () => ({ exchange: '', passive: true })),
    expected: '403 channel ACCESS_REFUSED - operation not permitted on the default exchange',
  },
  {
    name: 'delete the default exchange',
    script: request('exchange.delete', () => ({ exchange: '' })),
    expected: '403 channel ACCESS_REFUSED - operation not permitted on the default exchange',
  },
  {
    name: 'bind to the default exchange',
    script: async (p) => {
      await p.channel.queue(p.q, { exclusive: true });
      await p.channel.bind(p.q, '', 'k');
    },
    expected: '403 channel ACCESS_REFUSED - operation not permitted on the default exchange',
  },
  {
    name: 'unbind from the default exchange',
    script: async (p) => {
      await p.channel.queue(p.q, { exclusive: true });
      await p.channel.call('queue.unbind', { queue: p.q, routingKey: 'k' });
    },
    expected: '403 channel ACCESS_REFUSED - operation not permitted on the default exchange',
  },
  {
    name: 'delete amq.direct',
    script: request('exchange.delete', () => ({ exchange: 'amq.direct' })),
    expected:
      "403 channel ACCESS_REFUSED - deletion of system exchange 'amq.direct' in vhost '<v>' not allowed",
  },
  {
    name: 'delete a missing queue',
    script: request('queue.delete', (p) => ({ queue: p.q })),
    expected: 'ok',
  },
  {
    name: 'delete a missing exchange',
    script: request('exchange.delete', (p) => ({ exchange: p.x })),
    expected: 'ok',
  },
  {
    name: 'unbind a missing queue',
    script: request('queue.unbind', (p) => ({ queue: p.q, exchange: 'amq.direct' })),
    expected: 'ok',
  },
  {
    name: 'unbind a missing exchange',
    script: async (p) => {
      await p.channel.queue(p.q, { exclusive: true });
      await p.channel.call('queue.unbind', { queue: p.q, exchange: p.x });
    },
    expected: 'ok',
  },
  {
    name: 'unbind a missing binding',
    script: async (p) => {
      await p.channel.queue(p.q, { exclusive: true });
      await p.channel.call('queue.unbind', { queue: p.q, exchange: 'amq.direct' });
    },
    expected: 'ok',
  },
  {
    name: 'bind a missing queue',
    script: request('queue.bind', (p) => ({ queue: p.q, exchange: 'amq.direct' })),
    expected: "404 channel NOT_FOUND - no queue '<q>' in vhost '<v>'",
  },
  {
    name: 'bind to a missing exchange',
    script: async (p) => {
      await p.channel.queue(p.q, { exclusive: true });
      await p.channel.bind(p.q, p.x);
    },
    expected: "404 channel NOT_FOUND - no exchange '<x>' in vhost '<v>'",
  },
  {
    name: 'purge a missing queue',
    script: request('queue.purge', (p) => ({ queue: p.q })),
    expected: "404 channel NOT_FOUND - no queue '<q>' in vhost '<v>'",
  },
  {
    name: 'get from a missing queue',
    script: request('basic.get', (p) => ({ queue: p.q })),
    expected: "404 channel NOT_FOUND - no queue '<q>' in vhost '<v>'",
  },
  {
    name: 'consume from a missing queue',
    script: request('basic.consume', (p) => ({ queue: p.q })),
    expected: "404 channel NOT_FOUND - no queue '<q>' in vhost '<v>'",
  },
  {
    name: 'empty queue name without a declared queue',
    script: request('queue.purge', () => ({ queue: '' })),
    expected: '404 channel NOT_FOUND - no previously declared queue',
  },
  {
    name: 'queue durable differs',
    script: redeclare({ durable: true }, { durable: false }),
    expected:
      "406 channel PRECONDITION_FAILED - inequivalent arg 'durable' for queue '<q>' in vhost '<v>': received 'false' but current is 'true'",
  },
  {
    name: 'queue auto_delete differs',
    script: redeclare({ durable: true }, { durable: true, autoDelete: true }),
    expected:
      "406 channel PRECONDITION_FAILED - inequivalent arg 'auto_delete' for queue '<q>' in vhost '<v>': received 'true' but current is 'false'",
  },
  {
    name: 'queue x-message-ttl differs',
    script: redeclare(
      { exclusive: true, arguments: { 'x-message-ttl': 1000 } },
      { exclusive: true, arguments: { 'x-message-ttl': 2000 } },
    ),
    expected:
      "406 channel PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' for queue '<q>' in vhost '<v>': received '2000' but current is '1000'",
  },
  {
    name: 'queue x-message-ttl left out',
    script: redeclare(
      { exclusive: true, arguments: { 'x-message-ttl': 1000 } },
      { exclusive: true },
    ),
    expected:
      "406 channel PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' for queue '<q>' in vhost '<v>': received none but current is the value '1000' of type 'signedint'",
  },
  {
    name: 'queue x-max-length added',
    script: redeclare({ exclusive: true }, { exclusive: true, arguments: { 'x-max-length': 5 } }),
    expected:
      "406 channel PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue '<q>' in vhost '<v>': received the value '5' of type 'signedint' but current is none",
  },
  {
    name: 'queue x-dead-letter-exchange differs',
    script: redeclare(
      { exclusive: true, arguments: { 'x-dead-letter-exchange': 'a' } },
      { exclusive: true, arguments: { 'x-dead-letter-exchange': 'b' } },
    ),
    expected:
      "406 channel PRECONDITION_FAILED - inequivalent arg 'x-dead-letter-exchange' for queue '<q>' in vhost '<v>': received 'b' but current is 'a'",
  },
  {
    name: 'queue exclusive differs',
    script: redeclare({ durable: true }, { durable: true, exclusive: true }),
    expected:
      "405 channel RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '<q>' in vhost '<v>'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.",
  },
  {
    name: 'redeclare a queue with an unknown argument',
    script: redeclare({ exclusive: true }, { exclusive: true, arguments: { 'x-foo': 1 } }),
    expected: 'ok',
  },
  {
    name: 'same integer in another wire type',
    script: redeclare(
      { exclusive: true, arguments: { 'x-message-ttl': 1000 } },
      { exclusive: true, arguments: { 'x-message-ttl': tagged('l', 1000) } },
    ),
    expected: 'ok',
  },
  {
    name: 'foreign exclusive queue: declare',
    script: foreign('queue.declare', { exclusive: true }),
    expected:
      "405 channel RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '<q>' in vhost '<v>'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.",
  },
  {
    name: 'foreign exclusive queue: passive',
    script: foreign('queue.declare', { passive: true }),
    expected:
      "405 channel RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '<q>' in vhost '<v>'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.",
  },
  {
    name: 'foreign exclusive queue: bind',
    script: foreign('queue.bind', { exchange: 'amq.direct', routingKey: 'k2' }),
    expected:
      "405 channel RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '<q>' in vhost '<v>'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.",
  },
  {
    name: 'foreign exclusive queue: unbind',
    script: foreign('queue.unbind', { exchange: 'amq.direct', routingKey: 'k' }),
    expected:
      "405 channel RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '<q>' in vhost '<v>'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.",
  },
  {
    name: 'foreign exclusive queue: consume',
    script: foreign('basic.consume'),
    expected:
      "405 channel RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '<q>' in vhost '<v>'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.",
  },
  {
    name: 'foreign exclusive queue: get',
    script: foreign('basic.get'),
    expected:
      "405 channel RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '<q>' in vhost '<v>'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.",
  },
  {
    name: 'foreign exclusive queue: purge',
    script: foreign('queue.purge'),
    expected:
      "405 channel RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '<q>' in vhost '<v>'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.",
  },
  {
    name: 'foreign exclusive queue: delete',
    script: foreign('queue.delete'),
    expected:
      "405 channel RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '<q>' in vhost '<v>'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.",
  },
  {
    name: 'second consumer beside an exclusive one',
    script: async (p) => {
      await p.channel.queue(p.q, { exclusive: true });
      await p.channel.consume(p.q, { exclusive: true });
      await p.channel.consume(p.q);
    },
    expected: "403 channel ACCESS_REFUSED - queue '<q>' in vhost '<v>' in exclusive use",
  },
  {
    name: 'exclusive consumer beside another',
    script: async (p) => {
      await p.channel.queue(p.q, { exclusive: true });
      await p.channel.consume(p.q);
      await p.channel.consume(p.q, { exclusive: true });
    },
    expected: "403 channel ACCESS_REFUSED - queue '<q>' in vhost '<v>' in exclusive use",
  },
  {
    name: 'exclusive consumer on a single-active-consumer queue',
    script: async (p) => {
      await p.channel.queue(p.q, {
        exclusive: true,
        arguments: { 'x-single-active-consumer': true },
      });
      await p.channel.consume(p.q, { exclusive: true });
    },
    expected: "403 channel ACCESS_REFUSED - queue '<q>' in vhost '<v>' in exclusive use",
  },
  {
    name: 'ack of an unknown tag',
    script: async (p) => {
      p.channel.ack(42);
      await p.channel.sync();
    },
    expected: '406 channel PRECONDITION_FAILED - unknown delivery tag 42',
  },
  {
    name: 'ack twice',
    script: async (p) => {
      const tag = await consumedOnce(p);
      p.channel.ack(tag);
      p.channel.ack(tag);
      await p.channel.sync();
    },
    expected: '406 channel PRECONDITION_FAILED - unknown delivery tag 1',
  },
  {
    name: 'ack of a no-ack delivery',
    script: async (p) => {
      await p.channel.queue(p.q, { exclusive: true });
      p.channel.publish('', p.q);
      p.channel.ack((await p.channel.getSoon(p.q, true)).tag);
      await p.channel.sync();
    },
    expected: '406 channel PRECONDITION_FAILED - unknown delivery tag 1',
  },
  {
    name: 'ack 0 multiple with nothing outstanding',
    script: async (p) => {
      p.channel.ack(0, true);
      await p.channel.sync();
    },
    expected: 'ok',
  },
  {
    name: 'ack 0 single',
    script: async (p) => {
      p.channel.ack(0);
      await p.channel.sync();
    },
    expected: '406 channel PRECONDITION_FAILED - unknown delivery tag 0',
  },
  {
    name: 'ack multiple of an unknown tag',
    script: async (p) => {
      await consumedOnce(p);
      p.channel.ack(9, true);
      await p.channel.sync();
    },
    expected: '406 channel PRECONDITION_FAILED - unknown delivery tag 9',
  },
  {
    name: 'nack of an unknown tag',
    script: async (p) => {
      p.channel.nack(7);
      await p.channel.sync();
    },
    expected: '406 channel PRECONDITION_FAILED - unknown delivery tag 7',
  },
  {
    name: 'reject of an unknown tag',
    script: async (p) => {
      p.channel.reject(7);
      await p.channel.sync();
    },
    expected: '406 channel PRECONDITION_FAILED - unknown delivery tag 7',
  },
  {
    name: 'publish to a missing exchange',
    script: async (p) => {
      p.channel.publish(p.x, 'k');
      await p.channel.sync();
    },
    expected: "404 channel NOT_FOUND - no exchange '<x>' in vhost '<v>'",
  },
  {
    name: 'publish to an internal exchange',
    script: async (p) => {
      await p.channel.exchange(p.x, 'fanout', { internal: true, autoDelete: true });
      p.channel.publish(p.x, 'k');
      await p.channel.sync();
    },
    expected:
      "403 channel ACCESS_REFUSED - cannot publish to internal exchange '<x>' in vhost '<v>'",
  },
  {
    name: 'mandatory without a route',
    script: async (p) => {
      p.channel.publish('', p.q, 'x', {}, { mandatory: true });
      await p.channel.returned();
    },
    expected: '312 return NO_ROUTE',
  },
  {
    name: 'immediate publish',
    script: publishWith({}, { immediate: true }),
    expected: '540 connection NOT_IMPLEMENTED - immediate=true',
  },
  {
    name: 'expiration abc',
    script: publishWith({ expiration: 'abc' }),
    expected: "406 channel PRECONDITION_FAILED - invalid expiration 'abc': no_integer",
  },
  {
    name: 'expiration -1',
    script: publishWith({ expiration: '-1' }),
    expected: "406 channel PRECONDITION_FAILED - invalid expiration '-1': {value_negative,-1}",
  },
  {
    name: 'expiration with trailing characters',
    script: publishWith({ expiration: '10x' }),
    expected: '406 channel PRECONDITION_FAILED - invalid expiration \'10x\': {leftover_string,"x"}',
  },
  {
    name: 'empty expiration',
    script: publishWith({ expiration: '' }),
    expected: "406 channel PRECONDITION_FAILED - invalid expiration '': no_integer",
  },
  {
    name: 'expiration 1.5',
    script: publishWith({ expiration: '1.5' }),
    expected:
      '406 channel PRECONDITION_FAILED - invalid expiration \'1.5\': {leftover_string,".5"}',
  },
  {
    name: 'foreign user-id',
    script: publishWith({ userId: 'somebody' }),
    expected:
      "406 channel PRECONDITION_FAILED - user_id property set to 'somebody' but authenticated user was '<u>'",
  },
  {
    name: 'CC that is no list',
    script: publishWith({ headers: { CC: 'k' } }),
    expected:
      '406 channel PRECONDITION_FAILED - invalid message: {unacceptable_type_in_header,"CC",longstr}',
  },
  {
    name: 'BCC that is no list',
    script: publishWith({ headers: { BCC: 1 } }),
    expected:
      '406 channel PRECONDITION_FAILED - invalid message: {unacceptable_type_in_header,"BCC",signedint}',
  },
  {
    name: 'x-message-ttl -1',
    script: withArgs({ 'x-message-ttl': -1 }),
    expected:
      "406 channel PRECONDITION_FAILED - invalid arg 'x-message-ttl' for queue '<q>' in vhost '<v>': {value_negative,-1}",
  },
  {
    name: 'x-message-ttl as text',
    script: withArgs({ 'x-message-ttl': '1000' }),
    expected:
      "406 channel PRECONDITION_FAILED - invalid arg 'x-message-ttl' for queue '<q>' in vhost '<v>': \"expected integer, got longstr\"",
  },
  {
    name: 'x-message-ttl over ten years',
    script: withArgs({ 'x-message-ttl': 315_360_000_001 }),
    expected:
      "406 channel PRECONDITION_FAILED - invalid arg 'x-message-ttl' for queue '<q>' in vhost '<v>': {value_too_large,315360000001}",
  },
  {
    name: 'x-expires 0',
    script: withArgs({ 'x-expires': 0 }),
    expected:
      "406 channel PRECONDITION_FAILED - invalid arg 'x-expires' for queue '<q>' in vhost '<v>': {value_zero,0}",
  },
  {
    name: 'x-max-length -1',
    script: withArgs({ 'x-max-length': -1 }),
    expected:
      "406 channel PRECONDITION_FAILED - invalid arg 'x-max-length' for queue '<q>' in vhost '<v>': {value_negative,-1}",
  },
  {
    name: 'x-max-priority 256',
    script: withArgs({ 'x-max-priority': 256 }),
    expected:
      "406 channel PRECONDITION_FAILED - invalid arg 'x-max-priority' for queue '<q>' in vhost '<v>': {max_value_exceeded,256}",
  },
  {
    name: 'x-max-priority -1',
    script: withArgs({ 'x-max-priority': -1 }),
    expected:
      "406 channel PRECONDITION_FAILED - invalid arg 'x-max-priority' for queue '<q>' in vhost '<v>': {value_negative,-1}",
  },
  {
    name: 'x-overflow bogus',
    script: withArgs({ 'x-overflow': 'bogus' }),
    expected:
      "406 channel PRECONDITION_FAILED - invalid arg 'x-overflow' for queue '<q>' in vhost '<v>': invalid_overflow",
  },
  {
    name: 'x-queue-type bogus',
    script: withArgs({ 'x-queue-type': 'bogus' }),
    expected:
      "406 channel PRECONDITION_FAILED - invalid arg 'x-queue-type' for queue '<q>' in vhost '<v>': \"unsupported queue type 'bogus'\"",
  },
  {
    name: 'x-queue-mode lazy',
    script: withArgs({ 'x-queue-mode': 'lazy' }),
    expected: 'ok',
  },
  {
    name: 'x-dead-letter-routing-key without an exchange',
    script: withArgs({ 'x-dead-letter-routing-key': 'k' }),
    expected:
      "406 channel PRECONDITION_FAILED - invalid arg 'x-dead-letter-routing-key' for queue '<q>' in vhost '<v>': routing_key_but_no_dlx_defined",
  },
  {
    name: 'x-dead-letter-exchange as a number',
    script: withArgs({ 'x-dead-letter-exchange': 5 }),
    expected:
      "406 channel PRECONDITION_FAILED - invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue '<q>' in vhost '<v>'",
  },
  {
    name: 'x-single-active-consumer as text',
    script: withArgs({ 'x-single-active-consumer': 'yes' }),
    expected:
      "406 channel PRECONDITION_FAILED - invalid arg 'x-single-active-consumer' for queue '<q>' in vhost '<v>': {unacceptable_type,longstr}",
  },
  {
    name: 'x-max-age on a classic queue',
    script: withArgs({ 'x-max-age': '7D' }),
    expected:
      "406 channel PRECONDITION_FAILED - invalid arg 'x-max-age' for queue '<q>' in vhost '<v>' of queue type rabbit_classic_queue",
  },
  {
    name: 'x-delivery-limit on a classic queue',
    script: withArgs({ 'x-delivery-limit': 3 }),
    expected:
      "406 channel PRECONDITION_FAILED - invalid arg 'x-delivery-limit' for queue '<q>' in vhost '<v>' of queue type rabbit_classic_queue",
    tolerance: {
      ours: 'ok',
      reason: 'one queue engine serves every type, so the limit works on classic queues too',
    },
  },
  {
    name: 'unknown argument x-foo',
    script: withArgs({ 'x-foo': 'bar' }),
    expected: 'ok',
  },
  {
    name: 'alternate-exchange as a number',
    script: request('exchange.declare', (p) => ({
      exchange: p.x,
      type: 'direct',
      arguments: { 'alternate-exchange': 1 },
    })),
    expected:
      "406 channel PRECONDITION_FAILED - invalid type 'signedint' for arg 'alternate-exchange' in exchange '<x>' in vhost '<v>'",
  },
  {
    name: 'unknown exchange type',
    script: request('exchange.declare', (p) => ({ exchange: p.x, type: 'bogus' })),
    expected: "406 channel PRECONDITION_FAILED - unknown exchange type 'bogus'",
  },
  {
    name: 'x-delayed-message',
    script: request('exchange.declare', (p) => ({
      exchange: p.x,
      type: 'x-delayed-message',
      autoDelete: true,
      arguments: { 'x-delayed-type': 'direct' },
    })),
    expected: "406 channel PRECONDITION_FAILED - unknown exchange type 'x-delayed-message'",
    tolerance: { ours: 'ok', reason: 'built in here, a plugin that RabbitMQ 4.3 does not ship' },
  },
  {
    name: 'x-modulus-hash',
    script: request('exchange.declare', (p) => ({
      exchange: p.x,
      type: 'x-modulus-hash',
      autoDelete: true,
    })),
    expected: 'ok',
  },
  {
    name: 'x-local-random',
    script: request('exchange.declare', (p) => ({
      exchange: p.x,
      type: 'x-local-random',
      autoDelete: true,
    })),
    expected: 'ok',
  },
  {
    name: 'x-consistent-hash',
    script: request('exchange.declare', (p) => ({
      exchange: p.x,
      type: 'x-consistent-hash',
      autoDelete: true,
    })),
    expected: "406 channel PRECONDITION_FAILED - unknown exchange type 'x-consistent-hash'",
    tolerance: {
      ours: 'ok',
      reason: 'built in here, a plugin that the packaged peer does not enable',
    },
  },
  {
    name: 'consistent hash with a weight that is no number',
    script: async (p) => {
      await p.channel.exchange(p.x, 'x-consistent-hash', { autoDelete: true });
      await p.channel.queue(p.q, { exclusive: true });
      await p.channel.bind(p.q, p.x, 'heavy');
    },
    expected: "406 channel PRECONDITION_FAILED - unknown exchange type 'x-consistent-hash'",
    tolerance: {
      ours: '406 channel PRECONDITION_FAILED - The binding key must be an integer: <<"heavy">>',
      reason: 'the text of the plugin, which the packaged peer does not enable',
    },
  },
  {
    name: 'headers binding with a bad x-match',
    script: async (p) => {
      await p.channel.queue(p.q, { exclusive: true });
      await p.channel.bind(p.q, 'amq.headers', '', { 'x-match': 'some' });
    },
    expected:
      '406 channel PRECONDITION_FAILED - Invalid x-match field value <<"some">>; expected all, any, all-with-x, or any-with-x',
  },
  {
    name: 'headers binding with x-match as a number',
    script: async (p) => {
      await p.channel.queue(p.q, { exclusive: true });
      await p.channel.bind(p.q, 'amq.headers', '', { 'x-match': 5 });
    },
    expected:
      '406 channel PRECONDITION_FAILED - Invalid x-match field type signedint (value 5); expected longstr',
  },
  {
    name: 'quorum queue that is not durable',
    script: declare({ arguments: quorum }),
    expected:
      "406 channel PRECONDITION_FAILED - invalid property 'non-durable' for queue '<q>' in vhost '<v>'",
  },
  {
    name: 'quorum queue that is exclusive',
    script: declare({ durable: true, exclusive: true, arguments: quorum }),
    expected:
      "406 channel PRECONDITION_FAILED - invalid property 'exclusive-owner' for queue '<q>' in vhost '<v>'",
  },
  {
    name: 'quorum queue named by the server',
    script: async (p) => {
      await p.channel.queue('', { durable: true, arguments: quorum });
    },
    expected:
      '406 channel PRECONDITION_FAILED - Cannot declare a server-named queue for type rabbit_quorum_queue',
  },
  {
    name: 'quorum queue',
    script: declare({ durable: true, arguments: quorum }),
    expected: 'ok',
  },
  {
    name: 'stream that is not durable',
    script: declare({ arguments: stream }),
    expected:
      "406 channel PRECONDITION_FAILED - invalid property 'non-durable' for queue '<q>' in vhost '<v>'",
  },
  {
    name: 'stream consumed without prefetch',
    script: async (p) => {
      await durableStream(p);
      await p.channel.consume(p.q);
    },
    expected:
      "406 channel PRECONDITION_FAILED - consumer prefetch count is not set for stream queue '<q>' in vhost '<v>'",
  },
  {
    name: 'stream consumed with no-ack',
    script: async (p) => {
      await durableStream(p);
      await p.channel.call('basic.qos', { prefetchCount: 1 });
      await p.channel.consume(p.q, { noAck: true });
    },
    expected:
      "540 connection NOT_IMPLEMENTED - automatic acknowledgement not supported by stream queue '<q>' in vhost '<v>'",
  },
  {
    name: 'get from a stream',
    script: async (p) => {
      await durableStream(p);
      await p.channel.get(p.q);
    },
    expected:
      "540 connection NOT_IMPLEMENTED - basic.get not supported by stream queues queue '<q>' in vhost '<v>'",
  },
  {
    name: 'purge a stream',
    script: async (p) => {
      await durableStream(p);
      await p.channel.call('queue.purge', { queue: p.q });
    },
    expected:
      "540 connection NOT_IMPLEMENTED - queue.purge not supported by stream queues queue '<q>' in vhost '<v>'",
  },
  {
    name: 'stream with a bad offset',
    script: async (p) => {
      await durableStream(p);
      await p.channel.call('basic.qos', { prefetchCount: 1 });
      await p.channel.consume(p.q, { arguments: { 'x-stream-offset': 'bogus' } });
    },
    expected:
      "406 channel PRECONDITION_FAILED - invalid arg 'x-stream-offset' for queue '<q>' in vhost '<v>': {invalid_stream_offset_arg,{longstr,<<\"bogus\">>}}",
  },
  {
    name: 'stream with a bad x-max-age',
    script: declare({ durable: true, arguments: { ...stream, 'x-max-age': 'soon' } }),
    expected:
      "406 channel PRECONDITION_FAILED - invalid arg 'x-max-age' for queue '<q>' in vhost '<v>': invalid_max_age",
  },
  {
    name: 'queue.delete if-unused with a consumer',
    script: async (p) => {
      await p.channel.queue(p.q, { exclusive: true });
      await p.channel.consume(p.q);
      await p.channel.call('queue.delete', { queue: p.q, ifUnused: true });
    },
    expected: "406 channel PRECONDITION_FAILED - queue '<q>' in vhost '<v>' in use",
  },
  {
    name: 'queue.delete if-empty with a message',
    script: async (p) => {
      await p.channel.queue(p.q, { exclusive: true });
      p.channel.publish('', p.q);
      await p.channel.settled(p.q, 1);
      await p.channel.call('queue.delete', { queue: p.q, ifEmpty: true });
    },
    expected: "406 channel PRECONDITION_FAILED - queue '<q>' in vhost '<v>' not empty",
  },
  {
    name: 'exchange.delete if-unused with a binding',
    script: async (p) => {
      await p.channel.exchange(p.x, 'direct', { autoDelete: true });
      await p.channel.queue(p.q, { exclusive: true });
      await p.channel.bind(p.q, p.x, 'k');
      await p.channel.call('exchange.delete', { exchange: p.x, ifUnused: true });
    },
    expected: "406 channel PRECONDITION_FAILED - exchange '<x>' in vhost '<v>' in use",
  },
  {
    name: 'exchange.bind a missing source',
    script: request('exchange.bind', (p) => ({ destination: 'amq.fanout', source: p.x })),
    expected: "404 channel NOT_FOUND - no exchange '<x>' in vhost '<v>'",
  },
  {
    name: 'exchange.bind a missing destination',
    script: request('exchange.bind', (p) => ({ destination: p.x, source: 'amq.fanout' })),
    expected: "404 channel NOT_FOUND - no exchange '<x>' in vhost '<v>'",
  },
  {
    name: 'exchange.bind the default exchange',
    script: request('exchange.bind', () => ({ destination: '', source: 'amq.fanout' })),
    expected: '403 channel ACCESS_REFUSED - operation not permitted on the default exchange',
  },
  {
    name: 'reply-to consumer with acks',
    script: request('basic.consume', () => ({ queue: REPLY })),
    expected: '406 channel PRECONDITION_FAILED - reply consumer cannot acknowledge',
  },
  {
    name: 'second reply-to consumer',
    script: async (p) => {
      await p.channel.consume(REPLY, { noAck: true });
      await p.channel.consume(REPLY, { noAck: true });
    },
    expected: '406 channel PRECONDITION_FAILED - reply consumer already set',
  },
  {
    name: 'reply-to without a consumer',
    script: publishWith({ replyTo: REPLY }),
    expected: '406 channel PRECONDITION_FAILED - fast reply consumer does not exist',
  },
  {
    name: 'declare an unknown reply-to name',
    script: request('queue.declare', () => ({ queue: `${REPLY}.nobody`, passive: true })),
    expected: '541 connection INTERNAL_ERROR',
    tolerance: {
      ours: "404 channel NOT_FOUND - no queue 'amq.rabbitmq.reply-to.nobody' in vhost '<v>'",
      reason: 'RabbitMQ fails with an internal error on a name it cannot decode',
    },
  },
  {
    name: 'duplicate consumer tag',
    script: async (p) => {
      await p.channel.queue(p.q, { exclusive: true });
      await p.channel.consume(p.q, { consumerTag: 't' });
      await p.channel.consume(p.q, { consumerTag: 't' });
    },
    expected: "530 connection NOT_ALLOWED - attempt to reuse consumer tag 't'",
  },
  {
    name: 'cancel an unknown tag',
    script: request('basic.cancel', () => ({ consumerTag: 'nobody' })),
    expected: 'ok',
  },
  {
    name: 'x-priority as text',
    script: async (p) => {
      await p.channel.queue(p.q, { exclusive: true });
      await p.channel.consume(p.q, { arguments: { 'x-priority': 'high' } });
    },
    expected:
      "406 channel PRECONDITION_FAILED - invalid arg 'x-priority' for queue '<q>' in vhost '<v>': \"expected integer, got longstr\"",
  },
  {
    name: 'basic.qos with prefetch_size',
    script: request('basic.qos', () => ({ prefetchSize: 1 })),
    expected: '540 connection NOT_IMPLEMENTED - prefetch_size!=0 (1)',
  },
  {
    name: 'basic.qos global',
    script: request('basic.qos', () => ({ prefetchCount: 1, global: true })),
    expected: 'ok',
  },
  {
    name: 'basic.recover without requeue',
    script: request('basic.recover', () => ({ requeue: false })),
    expected: '540 connection NOT_IMPLEMENTED - requeue=false',
  },
  {
    name: 'channel.flow off',
    script: request('channel.flow', () => ({ active: false })),
    expected: '540 connection NOT_IMPLEMENTED - active=false',
  },
  {
    name: 'channel.flow on',
    script: request('channel.flow', () => ({ active: true })),
    expected: 'ok',
  },
  {
    name: 'tx.select after confirm.select',
    script: async (p) => {
      await p.channel.confirmSelect();
      await p.channel.call('tx.select');
    },
    expected: '406 channel PRECONDITION_FAILED - cannot switch from confirm to tx mode',
  },
  {
    name: 'confirm.select after tx.select',
    script: async (p) => {
      await p.channel.call('tx.select');
      await p.channel.confirmSelect();
    },
    expected: '406 channel PRECONDITION_FAILED - cannot switch from tx to confirm mode',
  },
  {
    name: 'tx.commit without select',
    script: request('tx.commit', () => ({})),
    expected: '406 channel PRECONDITION_FAILED - channel is not transactional',
  },
  {
    name: 'tx.rollback without select',
    script: request('tx.rollback', () => ({})),
    expected: '406 channel PRECONDITION_FAILED - channel is not transactional',
  },
  {
    name: 'channel.open twice',
    script: request('channel.open', () => ({})),
    expected: "504 connection CHANNEL_ERROR - second 'channel.open' seen",
  },
  {
    name: 'method on an unopened channel',
    script: async (p) => {
      p.connection.bareChannel(77).send('basic.qos');
      throw await p.connection.outcome();
    },
    expected: "504 connection CHANNEL_ERROR - expected 'channel.open'",
  },
  {
    name: 'transient queue that is not exclusive',
    script: declare(),
    expected: 'ok',
  },
  {
    name: 'update-secret of a password user',
    script: async (p) => {
      await p.connection.control.call('connection.update-secret', {
        newSecret: p.connection.target.password,
        reason: 'r',
      });
    },
    expected: 'ok',
  },
  {
    name: 'wrong password',
    script: async (p) => {
      const c = await p.dial();
      await c.authenticate({ password: 'wrong' });
      throw await c.outcome();
    },
    expected:
      '403 connection ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile.',
  },
  {
    name: 'wrong password by AMQPLAIN',
    script: async (p) => {
      const c = await p.dial();
      const response = encodeTable({ LOGIN: 'guest', PASSWORD: 'no' }).subarray(4);
      await c.authenticate({ mechanism: 'AMQPLAIN', response });
      throw await c.outcome();
    },
    expected:
      '403 connection ACCESS_REFUSED - Login was refused using authentication mechanism AMQPLAIN. For details see the broker logfile.',
  },
  {
    name: 'unknown vhost',
    script: async (p) => {
      const c = await p.dial();
      await c.authenticate();
      await c.tune();
      await c.control.call('connection.open', { virtualHost: 'nowhere' });
    },
    expected: '530 connection NOT_ALLOWED - vhost nowhere not found',
  },
  {
    name: 'empty vhost',
    script: async (p) => {
      const c = await p.dial();
      await c.authenticate();
      await c.tune();
      await c.control.call('connection.open', { virtualHost: '' });
    },
    expected: '530 connection NOT_ALLOWED - vhost  not found',
  },
  {
    name: 'access.request',
    script: request('access.request', () => ({ realm: '/data' })),
    expected: 'ok',
  },
];
