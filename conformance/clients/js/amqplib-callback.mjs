// amqplib, callback API: the patterns of its own examples, one check each.
import assert from 'node:assert/strict';
import { promisify } from 'node:util';
import amqp from 'amqplib/callback_api';
import { check, finish, unique, url } from './checks.mjs';

const connection = await promisify(amqp.connect)(url);

const open = (kind) => new Promise((resolve, reject) => {
  connection[kind]((error, channel) => (error ? reject(error) : resolve(channel)));
});

await check('callbacks: declare, bind, publish, consume, ack, delete', async () => {
  const channel = await open('createChannel');
  const name = unique('callback');
  await new Promise((resolve, reject) => {
    channel.assertExchange(name, 'topic', { durable: false }, (e1) => {
      if (e1) return reject(e1);
      channel.assertQueue(name, { exclusive: true }, (e2, ok) => {
        if (e2) return reject(e2);
        assert.deepEqual(ok, { queue: name, messageCount: 0, consumerCount: 0 });
        channel.bindQueue(name, name, 'a.*', {}, (e3) => {
          if (e3) return reject(e3);
          channel.consume(name, (message) => {
            if (message === null) return; // the notification of the deletion below
            channel.ack(message);
            assert.equal(message.content.toString(), 'hello');
            channel.deleteQueue(name, {}, () => channel.deleteExchange(name, {}, resolve));
          }, {}, (e4) => (e4 ? reject(e4) : channel.publish(name, 'a.b', Buffer.from('hello'))));
        });
      });
    });
  });
  await promisify(channel.close).call(channel);
});

await check('callbacks: confirms', async () => {
  const channel = await open('createConfirmChannel');
  const name = unique('callback');
  await promisify(channel.assertQueue).call(channel, name, { exclusive: true });
  let confirmed = 0;
  for (let index = 0; index < 100; index += 1) {
    channel.sendToQueue(name, Buffer.from(`${index}`), {}, (error) => { if (!error) confirmed += 1; });
  }
  await promisify(channel.waitForConfirms).call(channel);
  assert.equal(confirmed, 100);
  await promisify(channel.close).call(channel);
});

await check('callbacks: get, get-empty and prefetch', async () => {
  const channel = await open('createChannel');
  const name = unique('callback');
  await promisify(channel.assertQueue).call(channel, name, { exclusive: true });
  await promisify(channel.prefetch).call(channel, 10, false);
  assert.equal(await promisify(channel.get).call(channel, name, {}), false);
  await promisify(channel.close).call(channel);
});

await check('callbacks: an error reaches the callback and the channel', async () => {
  const channel = await open('createChannel');
  const emitted = new Promise((resolve) => { channel.on('error', resolve); });
  channel.checkQueue(unique('missing'), () => {});
  const error = await emitted;
  assert.equal(error.code, 404);
});

await promisify(connection.close).call(connection);
finish();
