/** Records what a well-behaved client sends in a session that uses most of the protocol. */
import { FrameSplitter } from '../support/amqp-wire.ts';
import { WireConnection } from '../support/wire-client.ts';

/** The frames of the session after the login, on channels 1 and 2, as bytes. */
export async function recordSession(url: string): Promise<Buffer[]> {
  const connection = await WireConnection.open(url);
  const written: Buffer[] = [];
  const write = connection.write.bind(connection);
  connection.write = (bytes) => {
    written.push(Buffer.from(bytes));
    return write(bytes);
  };
  const channel = await connection.channel(1);
  const queue = await channel.queue('recorded', {
    autoDelete: true,
    arguments: { 'x-max-length': 100, 'x-message-ttl': 60_000, 'x-max-priority': 5 },
  });
  await channel.exchange('recorded-x', 'topic', { autoDelete: true });
  await channel.exchange('recorded-h', 'headers', {
    autoDelete: true,
    arguments: { 'alternate-exchange': 'amq.fanout' },
  });
  await channel.bind(queue, 'recorded-x', 'a.*.#');
  await channel.bind(queue, 'recorded-h', '', { 'x-match': 'any', a: 1, b: 'two' });
  await channel.call('exchange.bind', {
    destination: 'recorded-x',
    source: 'recorded-h',
    routingKey: 'k',
  });
  await channel.call('basic.qos', { prefetchCount: 50 });
  await channel.consume(queue, { consumerTag: 'c', arguments: { 'x-priority': 2 } });
  await channel.confirmSelect();
  const headers = { a: 1, b: 'two', list: [1, 'x', null, { deep: true }], CC: ['recorded'] };
  const properties = {
    contentType: 'text/plain',
    headers,
    deliveryMode: 2,
    priority: 3,
    correlationId: 'c1',
    replyTo: 'back',
    expiration: '60000',
    messageId: 'm1',
    timestamp: 1_700_000_000,
    type: 't',
    userId: 'guest',
    appId: 'a',
  };
  channel.publish('recorded-x', 'a.b.c', 'one', properties);
  channel.publish('recorded-h', 'k', 'two', { headers });
  channel.publish('', queue, Buffer.alloc(3_000, 'z'), {});
  channel.publish('', 'nowhere', 'back', {}, { mandatory: true });
  const deliveries = [];
  while (deliveries.length < 3) {
    const incoming = await channel.next();
    if (incoming.name === 'basic.deliver') deliveries.push(Number(incoming.args.deliveryTag));
  }
  channel.ack(deliveries[0]!);
  channel.nack(deliveries[1]!, { requeue: false });
  channel.reject(deliveries[2]!, false);
  await channel.call('basic.recover', { requeue: true });
  await channel.call('basic.cancel', { consumerTag: 'c' });
  const second = await connection.channel(2);
  await second.call('tx.select');
  const other = await second.queue('', { exclusive: true, durable: true });
  second.publish('', other, 'in a transaction', { deliveryMode: 2 });
  await second.call('tx.commit');
  await second.get(other, false);
  second.ack(1);
  await second.call('tx.rollback');
  await second.call('queue.purge', { queue: other });
  await second.call('channel.flow', { active: true });
  await second.consume('amq.rabbitmq.reply-to', { noAck: true });
  second.publish('', other, 'rpc', { replyTo: 'amq.rabbitmq.reply-to' });
  await second.queue('recorded-s', { durable: true, arguments: { 'x-queue-type': 'stream' } });
  await second.call('basic.qos', { prefetchCount: 5 });
  await second.consume('recorded-s', { arguments: { 'x-stream-offset': 'first' } });
  connection.sendHeartbeat();
  await second.call('queue.delete', { queue: 'recorded-s' });
  await second.call('queue.unbind', { queue: other, exchange: 'recorded-x', routingKey: 'k' });
  await second.call('queue.delete', { queue: other });
  await second.close();
  await channel.call('exchange.delete', { exchange: 'recorded-h' });
  await channel.call('queue.delete', { queue });
  await channel.close();
  connection.destroy();

  const frames: Buffer[] = [];
  const splitter = new FrameSplitter();
  splitter.push(Buffer.concat(written), ({ type, channel: id, payload }) => {
    const frame = Buffer.alloc(payload.length + 8);
    frame.writeUInt8(type, 0);
    frame.writeUInt16BE(id, 1);
    frame.writeUInt32BE(payload.length, 3);
    payload.copy(frame, 7);
    frame[frame.length - 1] = 0xce;
    frames.push(frame);
  });
  return frames;
}
