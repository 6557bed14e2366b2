// MQTT.js against a broker, in 3.1.1 and 5.0, over every transport the runner offers.
import mqtt from 'mqtt';
import { check, eventually, finish, sleep, SKIP } from '../../js/checks.mjs';

const transports = {
  tcp: process.env.MQTT_URL ?? 'mqtt://guest:guest@127.0.0.1:1883',
  tls: process.env.MQTTS_URL,
  ws: process.env.MQTT_WS_URL,
};
const largeBytes = 1024 * 1024;
let counter = 0;
const unique = (label) => `${label}-${process.pid}-${Date.now().toString(36)}-${(counter += 1)}`;
const limited = process.env.MQTT_LIMITED_USER;

async function tlsOptions() {
  const { readFileSync } = await import('node:fs');
  return process.env.TLS_DIRECTORY ? { ca: readFileSync(`${process.env.TLS_DIRECTORY}/ca.pem`) } : {};
}

function split(url) {
  const address = new URL(url);
  const login = { username: address.username, password: address.password };
  address.username = '';
  address.password = '';
  return { bare: address.href, login };
}

/** Connects and collects what comes in. */
async function connect(url, version, options = {}) {
  // A login in the address would win over the options.
  const { bare, login } = split(url);
  const client = await mqtt.connectAsync(bare, {
    ...login,
    protocolVersion: version,
    clientId: unique('js'),
    reconnectPeriod: 0,
    connectTimeout: 10_000,
    ...(url.startsWith('mqtts') ? await tlsOptions() : {}),
    ...options,
  }, false);
  client.got = [];
  client.on('message', (topic, payload, packet) => client.got.push({ topic, payload, packet }));
  client.on('error', () => {});
  return client;
}

const arrived = async (client, count) => {
  await eventually(() => client.got.length >= count, `${count} messages, got ${client.got.length}`);
  return client.got;
};
const equal = (got, expected) => {
  const [a, b] = [JSON.stringify(got), JSON.stringify(expected)];
  if (a !== b) throw new Error(`got ${a}, expected ${b}`);
};

/** Runs `body` with a connect function whose connections are ended after it. */
async function withClients(url, version, body) {
  const clients = [];
  try {
    await body(async (options) => {
      const client = await connect(url, version, options);
      clients.push(client);
      return client;
    });
  } finally {
    await Promise.all(clients.map((client) => client.endAsync(true).catch(() => {})));
  }
}

const persistent = (version, clientId) => ({
  clientId,
  clean: false,
  ...(version === 5 ? { properties: { sessionExpiryInterval: 300 } } : {}),
});

async function suite(name, url, version) {
  const run = (title, body) => check(`${name} ${version === 5 ? '5.0' : '3.1.1'} ${title}`, async () => {
    if (!url) throw SKIP;
    await withClients(url, version, body);
  });

  for (const qos of [0, 1, 2]) {
    await run(`QoS ${qos}`, async (client) => {
      const topic = unique('t');
      const reader = await client();
      const [granted] = await reader.subscribeAsync(topic, { qos });
      equal(granted.qos, qos);
      const writer = await client();
      for (let index = 0; index < 20; index += 1) await writer.publishAsync(topic, `${index}`, { qos });
      const got = await arrived(reader, 20);
      equal(got.map(({ payload }) => payload.toString()), Array.from({ length: 20 }, (_, i) => `${i}`));
      equal(got.every(({ packet }) => packet.qos === qos && !packet.dup), true);
    });
  }

  await run('retained', async (client) => {
    const topic = unique('t');
    const writer = await client();
    await writer.publishAsync(`${topic}/a`, 'kept', { qos: 1, retain: true });
    const reader = await client();
    await reader.subscribeAsync(`${topic}/#`);
    const [{ packet }] = await arrived(reader, 1);
    equal(packet.retain, true);
    await writer.publishAsync(`${topic}/a`, '', { qos: 1, retain: true });
  });

  await run('will', async (client) => {
    const topic = unique('t');
    const reader = await client();
    await reader.subscribeAsync(topic, { qos: 1 });
    const dying = await client({ will: { topic, payload: Buffer.from('gone'), qos: 1, retain: false } });
    dying.stream.destroy();
    equal((await arrived(reader, 1))[0].payload.toString(), 'gone');
  });

  await run('persistent session', async (client) => {
    const topic = unique('t');
    const options = persistent(version, unique('js'));
    const first = await client(options);
    await first.subscribeAsync(topic, { qos: 2 });
    await first.endAsync();
    const writer = await client();
    for (const qos of [1, 2]) await writer.publishAsync(topic, `${qos}`, { qos });
    // Listens from the start: what waited comes right behind CONNACK.
    const second = mqtt.connect(url, {
      protocolVersion: version, reconnectPeriod: 0, ...options,
      ...(url.startsWith('mqtts') ? await tlsOptions() : {}),
    });
    try {
      second.got = [];
      second.on('message', (_, payload) => second.got.push(payload.toString()));
      let present;
      second.on('connect', (connack) => { present = connack.sessionPresent; });
      equal(await arrived(second, 2), ['1', '2']);
      equal(present, true);
    } finally {
      await second.endAsync(true);
    }
  });

  await run('restart of the broker', async (client) => {
    if (!process.env.RESTART_COMMAND || name !== 'tcp') throw SKIP;
    const topic = unique('t');
    const reader = await client({ ...persistent(version, unique('js')), reconnectPeriod: 200 });
    await reader.subscribeAsync(topic, { qos: 1 });
    const writer = await client({ reconnectPeriod: 200 });
    await writer.publishAsync(topic, 'before', { qos: 1 });
    const { execFile } = await import('node:child_process');
    await new Promise((resolve, reject) => {
      execFile(process.env.RESTART_COMMAND, ['restart'], (error) => (error ? reject(error) : resolve()));
    });
    await writer.publishAsync(topic, 'after', { qos: 1 });
    await eventually(() => reader.got.some(({ payload }) => payload.toString() === 'after'), 'after');
    equal(reader.got[0].payload.toString(), 'before');
  });

  await run('1 MiB', async (client) => {
    const topic = unique('t');
    const reader = await client();
    await reader.subscribeAsync(topic, { qos: 1 });
    const payload = Buffer.alloc(largeBytes, 'abc');
    await (await client()).publishAsync(topic, payload, { qos: 1 });
    equal((await arrived(reader, 1))[0].payload.equals(payload), true);
  });

  await run('shared subscription', async (client) => {
    const topic = unique('t');
    const members = [await client(), await client()];
    for (const member of members) await member.subscribeAsync(`$share/g/${topic}`, { qos: 1 });
    const writer = await client();
    for (let index = 0; index < 40; index += 1) await writer.publishAsync(topic, `${index}`, { qos: 1 });
    await eventually(() => members[0].got.length + members[1].got.length >= 40, 'all of them');
    await sleep(100);
    equal(members[0].got.length + members[1].got.length, 40);
    equal(members.every((member) => member.got.length > 0), true);
  });

  await run('unsubscribe', async (client) => {
    const topic = unique('t');
    const reader = await client();
    await reader.subscribeAsync(topic);
    await reader.unsubscribeAsync(topic);
    await (await client()).publishAsync(topic, 'x', { qos: 1 });
    await sleep(150);
    equal(reader.got.length, 0);
  });

  await run('wrong password', async () => {
    if (process.env.MQTT_OPEN) throw SKIP;
    const code = await connect(url, version, { password: 'wrong' }).then(() => 0, (error) => error.code);
    equal(code, version === 5 ? 0x86 : 4);
  });

  await run('refused filter', async (client) => {
    if (!limited) throw SKIP;
    const [username, password, allowed] = limited.split(':');
    const own = await client({ username, password });
    await own.subscribeAsync(`${allowed}/x`, { qos: 1 });
    const error = await own.subscribeAsync('elsewhere/x', { qos: 1 }).then(() => undefined, (reason) => reason);
    if (!error) throw new Error('the filter was granted');
    if (version === 5 && error.code !== undefined) equal(error.code, 0x87);
  });

  if (version !== 5) return;

  await run('properties', async (client) => {
    const topic = unique('t');
    const reader = await client();
    await reader.subscribeAsync(topic, { qos: 1, properties: { subscriptionIdentifier: 42 } });
    const properties = {
      payloadFormatIndicator: true,
      messageExpiryInterval: 100,
      contentType: 'text/plain',
      responseTopic: 'answers/x',
      correlationData: Buffer.from([0, 1, 255]),
      userProperties: { a: ['1', '2'], b: 'ü' },
    };
    await (await client()).publishAsync(topic, 'x', { qos: 1, properties });
    const got = (await arrived(reader, 1))[0].packet.properties;
    equal(got.contentType, 'text/plain');
    equal(got.responseTopic, 'answers/x');
    equal([...got.correlationData], [0, 1, 255]);
    equal(got.payloadFormatIndicator, true);
    equal(got.subscriptionIdentifier, 42);
    equal({ ...got.userProperties }, { a: ['1', '2'], b: 'ü' });
    equal(got.messageExpiryInterval <= 100 && got.messageExpiryInterval > 90, true);
  });

  await run('subscription options', async (client) => {
    const topic = unique('t');
    const own = await client();
    await own.publishAsync(topic, 'kept', { qos: 1, retain: true });
    await own.subscribeAsync(topic, { qos: 1, nl: true, rap: true, rh: 2 });
    await own.publishAsync(topic, 'own', { qos: 1 });
    await (await client()).publishAsync(topic, 'other', { qos: 1, retain: true });
    const got = await arrived(own, 1);
    await sleep(100);
    equal(got.map(({ payload, packet }) => [payload.toString(), packet.retain]), [['other', true]]);
    await own.publishAsync(topic, '', { qos: 1, retain: true });
  });

  await run('topic aliases', async (client) => {
    const topic = unique('t');
    const reader = await client({ properties: { topicAliasMaximum: 10 } });
    await reader.subscribeAsync(topic);
    const writer = await client({ autoUseTopicAlias: true, autoAssignTopicAlias: true });
    for (let index = 0; index < 5; index += 1) await writer.publishAsync(topic, `${index}`, { qos: 1 });
    const got = await arrived(reader, 5);
    equal(got.every((message) => message.topic === topic), true);
  });

  await run('request and response', async (client) => {
    const [requests, answers] = [unique('req'), unique('ans')];
    const server = await client();
    await server.subscribeAsync(requests, { qos: 1 });
    server.on('message', (_, payload, { properties }) => {
      const { responseTopic, correlationData } = properties;
      server.publish(responseTopic, `re: ${payload}`, { qos: 1, properties: { correlationData } });
    });
    const caller = await client();
    await caller.subscribeAsync(answers, { qos: 1 });
    const correlationData = Buffer.from('7');
    await caller.publishAsync(requests, 'hi', { qos: 1, properties: { responseTopic: answers, correlationData } });
    const [{ payload, packet }] = await arrived(caller, 1);
    equal([payload.toString(), packet.properties.correlationData.toString()], ['re: hi', '7']);
  });

  await run('receive maximum 1', async (client) => {
    const topic = unique('t');
    const reader = await client({ properties: { receiveMaximum: 1 } });
    await reader.subscribeAsync(topic, { qos: 2 });
    const writer = await client();
    await Promise.all(Array.from({ length: 20 }, (_, i) => writer.publishAsync(topic, `${i}`, { qos: 2 })));
    equal((await arrived(reader, 20)).length, 20);
  });
}

for (const [name, url] of Object.entries(transports)) {
  if (url === undefined) {
    console.log(`skip ${name}`);
    continue;
  }
  for (const version of [4, 5]) await suite(name, url, version);
}
finish();
