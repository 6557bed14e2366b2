/** MQTT over WebSocket with the stock browser client, and where RabbitMQ has it. */
import { once } from 'node:events';
import { connectAsync, type MqttClient } from 'mqtt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { ServerProcess } from '../support/server-process.ts';

let server: ServerProcess;

beforeAll(async () => {
  server = await ServerProcess.start({ args: ['--web-mqtt-port', '0'] });
});

afterAll(async () => {
  const exit = await server.stop();
  expect(exit.code).toBe(0);
  expect(server.errors).toEqual([]);
  await server.dispose();
});

function connect(protocol: string, path: string, version: 4 | 5): Promise<MqttClient> {
  const url = `ws://127.0.0.1:${server.port(protocol)}${path}`;
  const login = { username: 'guest', password: 'guest', reconnectPeriod: 0 };
  return connectAsync(url, { ...login, protocolVersion: version });
}

test.each([
  ['http', '/mqtt', 5],
  ['http', '/ws/mqtt', 4],
  ['http', '/ws', 5],
  ['http/web-mqtt', '/ws', 4],
] as const)('%s %s, version %d: QoS 0 to 2, and 1 MB', async (protocol, path, version) => {
  const client = await connect(protocol, path, version);
  const topic = `websocket${path}/${version}/${protocol}`;
  await client.subscribeAsync(topic, { qos: 2 });
  const bodies: Buffer[] = [];
  const all = new Promise<void>((resolve) => {
    client.on('message', (_topic, payload) => {
      bodies.push(payload);
      if (bodies.length === 4) resolve();
    });
  });
  const sent = [Buffer.from('0'), Buffer.from('1'), Buffer.from('2'), Buffer.alloc(1e6, 'x')];
  await client.publishAsync(topic, sent[0]!, { qos: 0 });
  await client.publishAsync(topic, sent[1]!, { qos: 1 });
  await client.publishAsync(topic, sent[2]!, { qos: 2 });
  await client.publishAsync(topic, sent[3]!, { qos: 1 });
  await all;
  expect(bodies.map((body) => body.length)).toEqual([1, 1, 1, 1e6]);
  await client.endAsync();
});

test.each(['mqtt', 'mqttv3.1'])('token %s is echoed', async (token) => {
  const socket = new WebSocket(`ws://127.0.0.1:${server.port('http')}/mqtt`, [token]);
  await once(socket, 'open');
  expect(socket.protocol).toBe(token);
  socket.terminate();
});

test('text messages end the connection with 1003', async () => {
  const socket = new WebSocket(`ws://127.0.0.1:${server.port('http')}/mqtt`, ['mqtt']);
  await once(socket, 'open');
  socket.send('MQTT');
  const [code] = (await once(socket, 'close')) as [number];
  expect(code).toBe(1003);
});

test('the port of RabbitMQ speaks MQTT only', async () => {
  const url = `ws://127.0.0.1:${server.port('http/web-mqtt')}`;
  await expect(once(new WebSocket(`${url}/ws/amqp`), 'open')).rejects.toThrow('400');
  await expect(once(new WebSocket(`${url}/ws`, ['v12.stomp']), 'open')).rejects.toThrow('400');
});
