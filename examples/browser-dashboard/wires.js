/**
 * The three wires, behind one shape: `open(url, login, on)` connects, subscribes to everything
 * below `dashboard`, connects again when the connection is lost, and returns `send(text)`.
 *
 * `on.state(text, reason)` tells how it stands, and what the server has against it;
 * `on.message(origin, text)` what has come; the origin is the last part of the topic a message was
 * sent to.
 */
import { AMQPWebSocketClient } from '../vendor/amqp.js';
import mqtt from '../vendor/mqtt.js';

/** Ms before the next attempt. */
const RETRY_MS = 1_000;
const EXCHANGE = 'amq.topic';

/** What the server has against us, such as `ACCESS_REFUSED - ...`; nothing when it is not there. */
function refusalIn(error) {
  return /[A-Z]+_[A-Z_]+ - .*/.exec(error?.message ?? '')?.[0];
}

/** AMQP 0-9-1: a queue of our own, bound to amq.topic. The client leaves reconnecting to us. */
function openAmqp(url, login, on) {
  let channel;
  const connect = async () => {
    const client = new AMQPWebSocketClient({ url, ...login });
    let isLost = false;
    const lost = (reason) => {
      if (isLost) return;
      isLost = true;
      channel = undefined;
      on.state('connecting', reason);
      setTimeout(() => void connect(), RETRY_MS);
    };
    client.onerror = () => {};
    client.ondisconnect = (error) => lost(refusalIn(error));
    try {
      await client.connect();
      const opened = await client.channel();
      const queue = await opened.queueDeclare('', { exclusive: true });
      await opened.queueBind(queue.name, EXCHANGE, 'dashboard.#');
      await opened.basicConsume(queue.name, { noAck: true }, (message) =>
        on.message(message.routingKey.split('.').at(-1), message.bodyString() ?? ''),
      );
      channel = opened;
      on.state('connected');
    } catch (error) {
      lost(refusalIn(error));
    }
  };
  void connect();
  return (text) =>
    channel
      ?.basicPublish(EXCHANGE, 'dashboard.amqp', text, { contentType: 'text/plain' })
      .catch(() => {});
}

/** MQTT 5: a topic filter. The client reconnects and subscribes again by itself. */
function openMqtt(url, login, on) {
  const client = mqtt.connect(url, { ...login, protocolVersion: 5, reconnectPeriod: RETRY_MS });
  client.on('connect', () => client.subscribe('dashboard/#', () => on.state('connected')));
  let reason;
  client.on('close', () => {
    on.state('connecting', reason);
    reason = undefined;
  });
  client.on('error', (error) => {
    // With a code it is the server's answer; what else fails is the network.
    if (typeof error.code === 'number') reason = error.message;
  });
  client.on('message', (topic, payload) =>
    on.message(topic.split('/').at(-1), new TextDecoder().decode(payload)),
  );
  return (text) => {
    if (client.connected) client.publish('dashboard/mqtt', text);
  };
}

/** STOMP 1.2: /topic is amq.topic too. The client reconnects; we subscribe again. */
function openStomp(url, { username, password }, on) {
  const client = new globalThis.StompJs.Client({
    brokerURL: url,
    connectHeaders: { login: username, passcode: password },
    reconnectDelay: RETRY_MS,
    heartbeatIncoming: 10_000,
    heartbeatOutgoing: 10_000,
  });
  client.onConnect = () => {
    client.subscribe('/topic/dashboard.#', ({ headers, body }) =>
      on.message(headers.destination.split('.').at(-1), body),
    );
    on.state('connected');
  };
  let reason;
  client.onStompError = ({ headers, body }) => {
    reason = `${headers.message}: ${body}`;
  };
  client.onWebSocketClose = () => {
    on.state('connecting', reason);
    reason = undefined;
  };
  client.activate();
  return (text) => {
    if (client.connected) client.publish({ destination: '/topic/dashboard.stomp', body: text });
  };
}

/** The panels of the page, from left to right. */
export const WIRES = [
  { name: 'amqp', title: 'AMQP 0-9-1', path: '/ws/amqp', open: openAmqp },
  { name: 'mqtt', title: 'MQTT 5', path: '/mqtt', open: openMqtt },
  { name: 'stomp', title: 'STOMP 1.2', path: '/stomp', open: openStomp },
];
