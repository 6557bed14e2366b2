// A site that can reach the gateway and nothing else: it does what its standard input says, one
// JSON line `{"id", "run", "with"}` each, and answers `{"id", "value"}` or `{"id", "error"}`.
// Deliveries are told whole, with every property, so that a test can look for what must not be there.
import net from 'node:net';
import readline from 'node:readline';
import { AMQPWebSocketClient } from '@cloudamqp/amqp-client';
import amqp from 'amqplib';
import { MqttClient } from 'mqtt';
import { WebSocket } from 'ws';
import { cmq } from './cmq-call.mjs';

const { GATEWAY_HOST: host, AMQP_PORT, MQTT_PORT, HTTP_PORT, LOGIN: login } = process.env;
const { LOCAL_ADDRESS: localAddress } = process.env;
globalThis.WebSocket ??= WebSocket;
let channel;
let device;
const heard = [];

async function amqpChannel() {
  if (channel === undefined) {
    const url = `amqp://${login}:${login}@${host}:${AMQP_PORT}`;
    const connection = await amqp.connect(url, { localAddress });
    connection.on('error', () => {});
    channel = await connection.createConfirmChannel();
    channel.on('error', () => (channel = undefined));
  }
  return channel;
}

async function mqttDevice() {
  if (device === undefined) {
    const dial = () => net.connect({ host, port: Number(MQTT_PORT), localAddress });
    const options = { username: login, password: login, protocolVersion: 5, reconnectPeriod: 0 };
    device = new MqttClient(dial, options);
    device.on('message', (topic, payload, { properties }) => {
      heard.push({ topic, body: payload.toString(), properties });
    });
    await new Promise((resolve, reject) => device.on('connect', resolve).on('error', reject));
  }
  return device;
}

const actions = {
  /** Whether a TCP connection to an address comes about. */
  async reach({ address, port }) {
    return await new Promise((resolve) => {
      const socket = net.connect({ host: address, port, timeout: 1_000 });
      const done = (outcome) => {
        socket.destroy();
        resolve(outcome);
      };
      socket.on('connect', () => done('connected'));
      socket.on('timeout', () => done('timeout'));
      socket.on('error', (error) => done(error.code));
    });
  },
  async listen({ address }) {
    const server = net.createServer((socket) => socket.end());
    await new Promise((resolve) => server.listen(0, address, resolve));
    return server.address().port;
  },
  cmq: async ({ action, parameters }) => await cmq(action, parameters),
  async amqpPublish({ exchange, key, body, headers }) {
    const open = await amqpChannel();
    open.publish(exchange, key, Buffer.from(body), { persistent: true, headers });
    await open.waitForConfirms();
  },
  async amqpConsume({ queue, count }) {
    const open = await amqpChannel();
    return await new Promise((resolve, reject) => {
      const found = [];
      open.once('error', reject);
      const take = ({ content, fields, properties }) => {
        found.push({ body: content.toString(), fields, properties });
        if (found.length === count) resolve(found);
      };
      open.consume(queue, take, { noAck: true }).catch(reject);
    });
  },
  /** Over WebSocket, as a browser would. */
  async browserConsume({ queue, count }) {
    const url = `ws://${host}:${HTTP_PORT}/ws/amqp`;
    const connection = await new AMQPWebSocketClient(url, '/', login, login).connect();
    const open = await connection.channel();
    const found = await new Promise((resolve, reject) => {
      const messages = [];
      const take = (message) => {
        const { exchange, routingKey, properties } = message;
        messages.push({ body: message.bodyString(), exchange, routingKey, properties });
        if (messages.length === count) resolve(messages);
      };
      open.basicConsume(queue, { noAck: true }, take).catch(reject);
    });
    await connection.close();
    return found;
  },
  /** The reverse; told when it is confirmed. */
  async browserPublish({ exchange, key, body }) {
    const url = `ws://${host}:${HTTP_PORT}/ws/amqp`;
    const connection = await new AMQPWebSocketClient(url, '/', login, login).connect();
    const open = await connection.channel();
    await open.confirmSelect();
    await open.basicPublish(exchange, key, body, { deliveryMode: 2 });
    await connection.close();
  },
  async mqttSubscribe({ filter }) {
    return await (await mqttDevice()).subscribeAsync(filter, { qos: 1 });
  },
  /** The codes of SUBACK in a version of MQTT, 4 or 5, as they came. */
  async mqttSuback({ filter, protocolVersion }) {
    const dial = () => net.connect({ host, port: Number(MQTT_PORT), localAddress });
    const own = new MqttClient(dial, {
      ...{ username: login, password: login, protocolVersion, reconnectPeriod: 0 },
    });
    const codes = new Promise((resolve, reject) => {
      own.on('error', reject);
      own.on('packetreceive', ({ cmd, granted, reasonCode }) => {
        if (cmd === 'suback') resolve(granted ?? [reasonCode]);
      });
    });
    own.on('connect', () => own.subscribe(filter, { qos: 1 }, () => {}));
    try {
      return await codes;
    } finally {
      own.end(true);
    }
  },
  async mqttPublish({ topic, body }) {
    const connected = await mqttDevice();
    await connected.publishAsync(topic, body, { qos: 1 });
  },
  async mqttHeard({ count }) {
    while (heard.length < count) await new Promise((resolve) => setTimeout(resolve, 10));
    return heard.splice(0);
  },
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { id, run, with: given } = JSON.parse(line);
  const told = await actions[run](given).then(
    (value) => ({ id, value: value ?? null }),
    (error) => ({ id, error: error.message || `${error}` }),
  );
  process.stdout.write(`${JSON.stringify(told)}\n`);
}
process.exit(0);
