/** STOMP over WebSocket with the stock browser client, and beside AMQP. */
import { Client, type IFrame, type IMessage, type StompHeaders } from '@stomp/stompjs';
import { type Channel, type ChannelModel, connect as connectAmqp } from 'amqplib';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { ServerProcess } from '../support/server-process.ts';

Object.assign(globalThis, { WebSocket });

let server: ServerProcess;
let amqp: ChannelModel;
let channel: Channel;
const clients: Client[] = [];

beforeAll(async () => {
  server = await ServerProcess.start({ args: ['--stomp-port', '0'] });
  amqp = await connectAmqp(server.url);
  channel = await amqp.createChannel();
});

afterEach(async () => {
  for (const client of clients.splice(0)) await client.deactivate();
});

afterAll(async () => {
  await amqp.close();
  const exit = await server.stop();
  expect(exit.code).toBe(0);
  expect(server.errors).toEqual([]);
  await server.dispose();
});

async function connect(options: Partial<Client> = {}, path = '/ws/stomp'): Promise<Client> {
  const client = new Client({
    brokerURL: `ws://127.0.0.1:${server.port('http')}${path}`,
    connectHeaders: { login: 'guest', passcode: 'guest' },
    reconnectDelay: 0,
    ...(options as object),
  });
  clients.push(client);
  await new Promise<void>((resolve, reject) => {
    client.onConnect = () => resolve();
    client.onStompError = (frame) => reject(new Error(frame.headers['message']));
    client.onWebSocketError = () => reject(new Error('no WebSocket'));
    client.activate();
  });
  return client;
}

/** Subscribes; the messages come from the returned function one by one. */
function subscribe(client: Client, destination: string, headers: StompHeaders = {}) {
  const waiting: ((message: IMessage) => void)[] = [];
  const arrived: IMessage[] = [];
  client.subscribe(
    destination,
    (message) => {
      const next = waiting.shift();
      if (next === undefined) arrived.push(message);
      else next(message);
    },
    headers,
  );
  return (): Promise<IMessage> => {
    const message = arrived.shift();
    if (message !== undefined) return Promise.resolve(message);
    return new Promise((resolve) => waiting.push(resolve));
  };
}

let lastReceipt = 0;

/** Publishes and waits for the receipt. */
function publish(client: Client, destination: string, body: string, headers: StompHeaders = {}) {
  lastReceipt += 1;
  const receipt = `r${lastReceipt}`;
  const done = new Promise<IFrame>((resolve) => client.watchForReceipt(receipt, resolve));
  client.publish({ destination, body, headers: { ...headers, receipt } });
  return done;
}

test.each(['/ws/stomp', '/stomp', '/ws'])('connects on %s', async (path) => {
  const client = await connect({}, path);
  expect(client.connectedVersion).toBe('1.2');
  expect((client as unknown as { webSocket: WebSocket }).webSocket.protocol).toBe('v12.stomp');
});

test('sends, receives and acknowledges', async () => {
  const client = await connect();
  const next = subscribe(client, '/queue/stompjs', { ack: 'client-individual' });
  await publish(client, '/queue/stompjs', 'grüße', {
    'content-type': 'text/plain',
    note: 'a:b',
  });
  const message = await next();
  expect([message.body, message.headers['note']]).toEqual(['grüße', 'a:b']);
  message.ack();
  await publish(client, '/queue/other', 'flush');
  expect(await channel.checkQueue('stompjs')).toMatchObject({ messageCount: 0 });
});

test('large and binary bodies pass', async () => {
  const client = await connect();
  const next = subscribe(client, '/topic/large');
  const large = 'ä'.repeat(1_000_000);
  await publish(client, '/topic/large', large);
  expect((await next()).body).toBe(large);
  const binaryBody = Uint8Array.from({ length: 70_000 }, (_, index) => index & 0xff);
  client.publish({ destination: '/topic/large', binaryBody });
  expect(Buffer.compare((await next()).binaryBody, binaryBody)).toBe(0);
});

test('a transaction is atomic', async () => {
  const client = await connect();
  const next = subscribe(client, '/queue/tx');
  const aborted = client.begin();
  client.publish({
    destination: '/queue/tx',
    body: 'no',
    headers: { transaction: aborted.id },
  });
  aborted.abort();
  const committed = client.begin();
  for (const body of ['1', '2']) {
    client.publish({ destination: '/queue/tx', body, headers: { transaction: committed.id } });
  }
  committed.commit();
  expect([(await next()).body, (await next()).body]).toEqual(['1', '2']);
});

test('heart-beats keep it open', async () => {
  const client = await connect({ heartbeatIncoming: 2_000, heartbeatOutgoing: 2_000 });
  await new Promise((resolve) => setTimeout(resolve, 7_000));
  expect(client.connected).toBe(true);
  await publish(client, '/queue/alive', 'x');
});

test('what is wrong is told in ERROR', async () => {
  const client = await connect();
  const error = new Promise<IFrame>((resolve) => {
    client.onStompError = resolve;
  });
  client.publish({ destination: '/nowhere', body: '' });
  expect((await error).headers['message']).toBe('Unknown destination');
});

test('a wrong password is refused', async () => {
  const connectHeaders = { login: 'guest', passcode: 'wrong' };
  await expect(connect({ connectHeaders })).rejects.toThrow('Bad CONNECT');
});

test('AMQP to STOMP: properties become headers', async () => {
  const client = await connect();
  const next = subscribe(client, '/queue/from-amqp');
  await publish(client, '/queue/from-amqp', 'first');
  await next();
  channel.sendToQueue('from-amqp', Buffer.from('body'), {
    contentType: 'application/json',
    correlationId: 'c',
    replyTo: 'answers',
    priority: 3,
    persistent: true,
    messageId: 'm',
    timestamp: 1_700_000_000,
    type: 't',
    appId: 'a',
    headers: { text: 'x', count: 7, flag: true, ratio: 0.5, nested: { a: 1 } },
  });
  const { headers, body } = await next();
  expect(body).toBe('body');
  expect(headers).toMatchObject({
    'content-type': 'application/json',
    'correlation-id': 'c',
    'reply-to': '/reply-queue/answers',
    priority: '3',
    persistent: 'true',
    'amqp-message-id': 'm',
    timestamp: '1700000000',
    type: 't',
    'app-id': 'a',
    text: 'x',
    count: '7',
    flag: 'true',
    ratio: '0.5',
    destination: '/queue/from-amqp',
  });
  expect(headers).not.toHaveProperty('nested');
});

test('STOMP to AMQP: headers become properties', async () => {
  const client = await connect();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, 'amq.topic', 'sensors.#');
  const got = new Promise<Parameters<Parameters<Channel['consume']>[1]>[0]>((resolve) => {
    void channel.consume(queue, resolve, { noAck: true });
  });
  const sent = { persistent: 'true', type: 't', priority: '2', expiration: '50000', colour: 'red' };
  await publish(client, '/topic/sensors.kitchen', '21', { ...sent, 'amqp-message-id': 'id1' });
  const message = (await got)!;
  expect(message.content.toString()).toBe('21');
  expect(message.fields).toMatchObject({ exchange: 'amq.topic', routingKey: 'sensors.kitchen' });
  expect(message.properties).toMatchObject({
    deliveryMode: 2,
    type: 't',
    priority: 2,
    expiration: '50000',
    messageId: 'id1',
    headers: { colour: 'red' },
  });
  expect(message.properties.headers).not.toHaveProperty('receipt');
});

test('a message with a receipt survives SIGKILL', async () => {
  const own = await ServerProcess.start();
  const first = new Client({
    brokerURL: `ws://127.0.0.1:${own.port('http')}/ws/stomp`,
    connectHeaders: { login: 'guest', passcode: 'guest' },
    reconnectDelay: 0,
  });
  await new Promise<void>((resolve) => {
    first.onConnect = () => resolve();
    first.activate();
  });
  await Promise.all(
    Array.from({ length: 100 }, (_, index) =>
      publish(first, '/queue/kept', String(index), { persistent: 'true' }),
    ),
  );
  await own.kill();
  await first.deactivate();
  await own.restart();
  const reader = await connectAmqp(own.url);
  const reading = await reader.createChannel();
  expect(await reading.checkQueue('kept')).toMatchObject({ messageCount: 100 });
  await reader.close();
  await own.dispose();
});

test('the client reconnects after a restart', async () => {
  const own = await ServerProcess.start();
  const port = own.port('http');
  const client = new Client({
    brokerURL: `ws://127.0.0.1:${port}/ws/stomp`,
    connectHeaders: { login: 'guest', passcode: 'guest' },
    reconnectDelay: 200,
  });
  let connectCount = 0;
  const connected = (count: number): Promise<void> =>
    new Promise((resolve) => {
      client.onConnect = () => {
        connectCount += 1;
        if (connectCount === count) resolve();
      };
    });
  const once = connected(1);
  client.activate();
  await once;
  const twice = connected(2);
  expect((await own.stop()).code).toBe(0);
  const again = await ServerProcess.start({
    dataDir: own.dataDir,
    args: ['--http-port', String(port)],
  });
  await twice;
  await client.deactivate();
  await again.stop();
  await own.dispose();
});
