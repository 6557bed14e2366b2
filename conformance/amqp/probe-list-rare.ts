/** Probes, as in probe-list.ts, of what hardly any client does. Recorded from RabbitMQ 4.3.6. */
import { type MethodArgs, tagged } from '../support/amqp-wire.ts';
import {
  durableStream,
  type Probe,
  type ProbeContext,
  publishWith,
  quorum,
  redeclare,
  stream,
  withArgs,
} from './probe-list.ts';

const REPLY = 'amq.rabbitmq.reply-to';

type Script = Probe['script'];

/** Sends a method that has no answer, and waits for what the server makes of it. */
const sent =
  (method: string, args: Partial<MethodArgs> = {}): Script =>
  async ({ channel, connection }) => {
    const from = method.startsWith('connection.') ? connection.control : channel;
    from.send(method, args);
    await channel.sync();
  };

/** Consumers of a queue, one after the other. */
const consumers =
  (args: MethodArgs['arguments'], ...options: readonly Partial<MethodArgs>[]): Script =>
  async ({ channel, q }) => {
    await channel.queue(q, { durable: true, arguments: args });
    await channel.call('basic.qos', { prefetchCount: 5 });
    for (const one of options) await channel.consume(q, one);
  };

const exchangeTwice =
  (first: Partial<MethodArgs>, second: Partial<MethodArgs>, type = 'direct'): Script =>
  async ({ channel, x }) => {
    await channel.exchange(x, 'direct', first);
    await channel.exchange(x, type, second);
  };

const call =
  (method: string, args: Partial<MethodArgs>): Script =>
  async ({ channel }) =>
    await channel.call(method, args);

const UNIMPLEMENTED = '503 connection COMMAND_INVALID - unimplemented method';
const UNEXPECTED = '504 connection CHANNEL_ERROR - unexpected method in connection state running';
const QUEUE = "queue '<q>' in vhost '<v>'";
const invalid = (name: string, why: string): string =>
  `406 channel PRECONDITION_FAILED - invalid arg '${name}' for ${QUEUE}${why}`;
const inequivalent = (name: string, what: string, why: string): string =>
  `406 channel PRECONDITION_FAILED - inequivalent arg '${name}' for ${what}: ${why}`;
const AE = { arguments: { 'alternate-exchange': 'a' } };

/** Methods that only servers send, and the handshake's once it is over. */
const MISPLACED: readonly Probe[] = [
  ['channel.open-ok', UNIMPLEMENTED],
  ['channel.flow-ok', UNIMPLEMENTED],
  ['queue.declare-ok', UNIMPLEMENTED],
  ['exchange.declare-ok', UNIMPLEMENTED],
  ['basic.consume-ok', UNIMPLEMENTED],
  ['basic.get-empty', UNIMPLEMENTED],
  ['basic.qos-ok', UNIMPLEMENTED],
  ['basic.recover-ok', UNIMPLEMENTED],
  ['confirm.select-ok', UNIMPLEMENTED],
  ['tx.commit-ok', UNIMPLEMENTED],
  ['access.request-ok', UNIMPLEMENTED],
  ['connection.start', UNEXPECTED],
  ['connection.start-ok', UNEXPECTED],
  ['connection.secure-ok', UNEXPECTED],
  ['connection.tune', UNEXPECTED],
  ['connection.tune-ok', UNEXPECTED],
  ['connection.open', UNEXPECTED],
  ['connection.open-ok', UNEXPECTED],
].map(([method, expected]) => ({
  name: `a client sends ${method!}`,
  script: sent(method!),
  expected: expected!,
}));

/** Arguments of a queue, and what is wrong with them; '' when nothing is. */
const ARGUMENTS: readonly (readonly [string, MethodArgs['arguments'], string])[] = [
  ['x-max-priority', quorum, ' of queue type rabbit_quorum_queue'],
  ['x-queue-mode', quorum, ' of queue type rabbit_quorum_queue'],
  ['x-dead-letter-strategy', quorum, ': invalid_dlx_strategy'],
  ['x-quorum-initial-group-size', quorum, ': {value_zero,0}'],
  ['x-max-length', stream, ' of queue type rabbit_stream_queue'],
  ['x-message-ttl', stream, ' of queue type rabbit_stream_queue'],
  ['x-expires', stream, ' of queue type rabbit_stream_queue'],
  ['x-queue-version', {}, ': "unsupported queue version \'1\'"'],
  ['x-queue-leader-locator', {}, ': invalid_queue_locator_arg'],
  ['x-max-length-bytes', {}, ': {value_negative,-5}'],
  ['x-queue-mode', {}, ''],
];

const VALUES: Readonly<Record<string, unknown>> = {
  'x-max-priority': 5,
  'x-queue-mode': 'bad',
  'x-dead-letter-strategy': 'bad',
  'x-quorum-initial-group-size': 0,
  'x-max-length': 5,
  'x-message-ttl': 5,
  'x-expires': 5,
  'x-queue-version': 1,
  'x-queue-leader-locator': 'bad',
  'x-max-length-bytes': -5,
};

const DECLARED: readonly Probe[] = ARGUMENTS.map(([name, type, why]) => ({
  name: `${name}=${String(VALUES[name])} of ${JSON.stringify(type)}`,
  script: withArgs({ ...type, [name]: VALUES[name] }),
  expected: why === '' ? 'ok' : invalid(name, why),
}));

const EXCLUSIVE_REASON = 'enforced for every type of queue';
const IN_USE = `403 channel ACCESS_REFUSED - ${QUEUE} in exclusive use`;

const OTHERS: readonly Probe[] = [
  {
    name: 'a time to live that is a timestamp',
    script: withArgs({ 'x-message-ttl': tagged('T', 5) }),
    expected: invalid('x-message-ttl', ': "expected integer, got timestamp"'),
  },
  {
    name: 'a stream with segments too large',
    script: withArgs({ ...stream, 'x-stream-max-segment-size-bytes': tagged('l', 4_000_000_000) }),
    expected:
      '406 channel PRECONDITION_FAILED - Exceeded max value for x-stream-max-segment-size-bytes',
  },
  {
    name: 'a queue type named where it was the default',
    script: redeclare(
      { durable: true },
      { durable: true, arguments: { 'x-queue-type': 'classic' } },
    ),
    expected: 'ok',
  },
  {
    name: 'another queue type where it was the default',
    script: redeclare({ durable: true }, { durable: true, arguments: quorum }),
    expected: inequivalent('x-queue-type', QUEUE, "received 'quorum' but current is 'classic'"),
  },
  {
    name: 'confirm.select twice',
    script: async ({ channel }) => {
      await channel.call('confirm.select');
      await channel.call('confirm.select');
    },
    expected: 'ok',
  },
  {
    name: 'x-priority 1.5',
    script: consumers({}, { arguments: { 'x-priority': tagged('d', 1.5) } }),
    expected: invalid('x-priority', ': "expected integer, got double"'),
  },
  {
    name: 'x-consumer-timeout on a classic queue',
    script: consumers({}, { arguments: { 'x-consumer-timeout': 5 } }),
    expected: invalid('x-consumer-timeout', ' of queue type rabbit_classic_queue'),
  },
  {
    name: 'an exclusive consumer beside another on a quorum queue',
    script: consumers(quorum, {}, { exclusive: true }),
    expected: 'ok',
    tolerance: { ours: IN_USE, reason: EXCLUSIVE_REASON },
  },
  {
    name: 'a consumer beside an exclusive one on a quorum queue',
    script: consumers(quorum, { exclusive: true }, {}),
    expected: 'ok',
    tolerance: { ours: IN_USE, reason: EXCLUSIVE_REASON },
  },
  {
    name: 'a consumer beside an exclusive one on a stream',
    script: consumers(stream, { exclusive: true }, {}),
    expected: 'ok',
    tolerance: { ours: IN_USE, reason: EXCLUSIVE_REASON },
  },
  {
    name: 'a limit per consumer ends the one of the channel',
    script: async ({ channel, q }: ProbeContext) => {
      await channel.queue(q, { exclusive: true });
      await channel.call('basic.qos', { prefetchCount: 1, global: true });
      await channel.call('basic.qos', { prefetchCount: 5 });
      for (let index = 0; index < 6; index += 1) channel.publish('', q, 'x');
      await channel.consume(q);
      await channel.deliveries(5);
    },
    expected: 'ok',
  },
  {
    name: 'alternate-exchange differs',
    script: exchangeTwice(AE, { arguments: { 'alternate-exchange': 'b' } }),
    expected: inequivalent(
      'alternate-exchange',
      "exchange '<x>' in vhost '<v>'",
      "received 'b' but current is 'a'",
    ),
  },
  {
    name: 'internal differs',
    script: exchangeTwice({ internal: true }, {}),
    expected: inequivalent(
      'internal',
      "exchange '<x>' in vhost '<v>'",
      "received 'false' but current is 'true'",
    ),
  },
  {
    name: 'passive declare of an exchange with a type that is none',
    script: exchangeTwice({}, { passive: true }, 'bogus'),
    expected: 'ok',
  },
  {
    name: 'an exchange without a type',
    script: async ({ channel, x }) => await channel.exchange(x, ''),
    expected: "406 channel PRECONDITION_FAILED - invalid exchange type ''",
  },
  {
    name: 'a queue name with a line end',
    script: async ({ channel, q }) => {
      await channel.queue(`${q}\r\n`, { exclusive: true });
      await channel.queue(q, { passive: true });
    },
    expected: 'ok',
  },
  {
    name: 'bound twice, unbound once',
    script: async ({ channel, q }) => {
      await channel.queue(q);
      await channel.bind(q, 'amq.direct', q);
      await channel.bind(q, 'amq.direct', q);
      const binding = { queue: q, exchange: 'amq.direct', routingKey: q };
      await channel.call('queue.unbind', binding);
      channel.publish('amq.direct', q, 'x', {}, { mandatory: true });
      await channel.returned();
    },
    expected: '312 return NO_ROUTE',
  },
  {
    name: 'expiration over ten years',
    script: publishWith({ expiration: '315360000001' }),
    expected:
      "406 channel PRECONDITION_FAILED - invalid expiration '315360000001': " +
      '{value_too_large,315360000001}',
  },
  {
    name: 'expiration ten years',
    script: publishWith({ expiration: '315360000000' }),
    expected: 'ok',
  },
  {
    name: 'a text that is too long',
    script: (p) => p.channel.counts('q'.repeat(255)),
    expected: `404 channel NOT_FOUND - no queue '${'q'.repeat(230)}...`,
  },
  {
    name: 'headers binding with an empty x-match',
    script: async (p) => {
      await p.channel.queue(p.q, { exclusive: true });
      await p.channel.bind(p.q, 'amq.headers', '', { 'x-match': '' });
    },
    expected:
      '406 channel PRECONDITION_FAILED - Invalid x-match field value <<>>; ' +
      'expected all, any, all-with-x, or any-with-x',
  },
  { name: 'expiration +5', script: publishWith({ expiration: '+5000' }), expected: 'ok' },
  {
    name: 'expiration with a space before it',
    script: publishWith({ expiration: ' 5' }),
    expected: "406 channel PRECONDITION_FAILED - invalid expiration ' 5': no_integer",
  },
  { name: 'delivery mode 0', script: publishWith({ deliveryMode: 0 }), expected: 'ok' },
  { name: 'delivery mode 3', script: publishWith({ deliveryMode: 3 }), expected: 'ok' },
  {
    name: 'an empty user-id',
    script: publishWith({ userId: '' }),
    expected:
      "406 channel PRECONDITION_FAILED - user_id property set to '' but authenticated user was '<u>'",
  },
  {
    name: 'declare the reply-to queue',
    script: call('queue.declare', { queue: REPLY }),
    expected: 'ok',
  },
  {
    name: 'bind the reply-to queue',
    script: call('queue.bind', { queue: REPLY, exchange: 'amq.direct', routingKey: 'k' }),
    expected: `404 channel NOT_FOUND - no queue '${REPLY}' in vhost '<v>'`,
  },
  {
    name: 'a queue type that is empty',
    script: withArgs({ 'x-queue-type': '' }),
    expected: 'ok',
  },
  {
    name: 'purge the reply-to queue',
    script: call('queue.purge', { queue: REPLY }),
    expected: `404 channel NOT_FOUND - no queue '${REPLY}' in vhost '<v>'`,
  },
  {
    name: 'exchange.unbind from the default exchange',
    script: call('exchange.unbind', { source: '', destination: 'amq.fanout' }),
    expected: '403 channel ACCESS_REFUSED - operation not permitted on the default exchange',
  },
  {
    name: 'delete if-unused an exchange that is bound to another',
    script: async ({ channel, x }) => {
      await channel.exchange(x, 'fanout');
      await channel.call('exchange.bind', { source: 'amq.fanout', destination: x });
      await channel.call('exchange.delete', { exchange: x, ifUnused: true });
    },
    expected: 'ok',
  },
  {
    name: 'basic.recover-async without requeue',
    script: sent('basic.recover-async', { requeue: false }),
    expected: '540 connection NOT_IMPLEMENTED - requeue=false',
  },
  {
    name: 'publish to a missing exchange in a transaction',
    script: async ({ channel, x }) => {
      await channel.call('tx.select');
      channel.publish(x, 'k', 'x');
      await channel.call('tx.commit');
    },
    expected: "404 channel NOT_FOUND - no exchange '<x>' in vhost '<v>'",
  },
  {
    name: 'consume from a stream a second time',
    script: async (p) => {
      await durableStream(p);
      await p.channel.call('basic.qos', { prefetchCount: 5 });
      await p.channel.consume(p.q);
      await p.channel.consume(p.q);
    },
    expected: 'ok',
  },
];

export const RARE_PROBES: readonly Probe[] = [...MISPLACED, ...DECLARED, ...OTHERS];
