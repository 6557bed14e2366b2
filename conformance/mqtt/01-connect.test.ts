import { expect } from 'vitest';
import { useMqtt, VERSIONS } from '../support/mqtt-test.ts';
import {
  AUTH,
  authPacket,
  CONNACK,
  connectPacket,
  DISCONNECT,
  PINGREQ_PACKET,
  publishPacket,
  type Version,
} from '../support/mqtt-wire.ts';

const { specTest, peer } = useMqtt();

for (const version of [3, 4, 5] as Version[]) {
  const name = { 3: '3.1', 4: '3.1.1', 5: '5.0' }[version];
  specTest({ section: '3.1', rule: `${name} client is accepted` }, async (t) => {
    const client = await t.connect({ version, clientId: t.name('c').slice(0, 20) });
    expect(client.connack.sessionPresent).toBe(false);
    await client.sync();
  });
}

for (const version of VERSIONS) {
  specTest(
    { section: 'MQTT-3.1.0-2', rule: `${version}: a second CONNECT ends the connection` },
    async (t) => {
      const client = await t.connect({ version });
      client.write(connectPacket({ version, clientId: t.name('c') }));
      const end = await client.closed();
      if (version === 5 && peer === undefined) expect(end?.code).toBe(0x82);
    },
  );

  specTest(
    { section: 'MQTT-3.1.0-1', rule: `${version}: any other first packet closes the socket` },
    async (t) => {
      for (const bytes of [PINGREQ_PACKET, publishPacket({ version, topic: 'a' })]) {
        const client = await t.dial(version);
        client.write(bytes);
        await client.closed();
      }
    },
  );

  specTest(
    { section: 'MQTT-3.1.2-3', rule: `${version}: the reserved connect flag must be 0` },
    async (t) => {
      const client = await t.dial(version);
      client.write(connectPacket({ version, clientId: t.name('c'), flags: 0x03 }));
      await client.closed();
      expect(client.unread.every(({ code }) => code !== 0)).toBe(true);
    },
  );

  specTest(
    { section: 'MQTT-3.1.2-9', rule: `${version}: a will of QoS 3 is malformed` },
    async (t) => {
      const client = await t.dial(version);
      const will = { topic: 'w', payload: 'w', qos: 3 };
      client.write(connectPacket({ version, clientId: t.name('c'), will }));
      await client.closed();
      expect(client.unread.every(({ code }) => code !== 0)).toBe(true);
    },
  );

  specTest(
    { section: '3.1.2.5', rule: `${version}: will QoS or retain without a will is malformed` },
    async (t) => {
      for (const flags of [0x02 | 0x08, 0x02 | 0x20]) {
        const client = await t.dial(version);
        client.write(connectPacket({ version, clientId: t.name('c'), flags }));
        await client.closed();
        expect(client.unread.every(({ code }) => code !== 0)).toBe(true);
      }
    },
  );

  specTest(
    { section: '3.1.3.1', rule: `${version}: an empty client id with clean start is given one` },
    async (t) => {
      const client = await t.connect({ version, clientId: '' });
      const assigned = client.connack.properties.assignedClientId;
      if (version === 5) expect(assigned?.length).toBeGreaterThan(0);
      const other = await t.connect({ version, clientId: '' });
      if (version === 5) expect(other.connack.properties.assignedClientId).not.toBe(assigned);
      await client.sync();
    },
  );

  specTest(
    { section: '3.1.0', rule: `${version}: packets sent right behind CONNECT are served` },
    async (t) => {
      const client = await t.dial(version);
      const clientId = t.name('c');
      client.write(
        Buffer.concat([
          connectPacket({ version, clientId, user: 'guest', password: 'guest' }),
          PINGREQ_PACKET,
        ]),
      );
      expect((await client.next(CONNACK)).code).toBe(0);
      await client.next(13);
    },
  );

  specTest({ section: '3.1', rule: `${version}: CONNECT byte by byte is accepted` }, async (t) => {
    const client = await t.dial(version);
    const bytes = connectPacket({
      version,
      clientId: t.name('c'),
      user: 'guest',
      password: 'guest',
    });
    for (const byte of bytes) {
      client.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await client.next(CONNACK)).code).toBe(0);
  });

  specTest(
    { section: '3.1.4', rule: `${version}: trailing bytes in CONNECT are malformed` },
    async (t) => {
      const bytes = connectPacket({ version, clientId: t.name('c') });
      const longer = Buffer.concat([bytes, Buffer.from([0, 0])]);
      longer[1] = longer[1]! + 2;
      const client = await t.dial(version);
      client.write(longer);
      await client.closed();
      expect(client.unread.every(({ code }) => code !== 0)).toBe(true);
    },
  );

  specTest(
    { section: '3.1.3.5', rule: `${version}: a wrong password is refused`, needsServer: true },
    async (t) => {
      const client = await t.attempt({ version, user: 'guest', password: 'wrong' });
      expect(client.connack.code).toBe(version === 5 ? 0x86 : 4);
      await client.closed();
    },
  );

  specTest(
    { section: '3.1.3.5', rule: `${version}: an unknown user is refused`, needsServer: true },
    async (t) => {
      const client = await t.attempt({ version, user: 'nobody', password: 'guest' });
      expect(client.connack.code).toBe(version === 5 ? 0x86 : 4);
      await client.closed();
    },
  );

  specTest(
    { section: 'vhost', rule: `${version}: vhost:user names the vhost`, needsServer: true },
    async (t) => {
      await t.connect({ version, user: '/:guest' });
      const client = await t.attempt({ version, user: 'nowhere:guest' });
      expect(client.connack.code).not.toBe(0);
      await client.closed();
    },
  );

  specTest({ section: '3.1.4', rule: `${version}: the same client id takes over` }, async (t) => {
    const clientId = t.name('c');
    const first = await t.connect({ version, clientId });
    const second = await t.connect({ version, clientId });
    const end = await first.closed();
    if (version === 5) expect(end?.code).toBe(0x8e);
    await second.sync();
  });
}

specTest(
  {
    section: 'MQTT-3.1.3-8 (3.1.1)',
    rule: 'an empty client id without clean session gets 2 and the end',
    unlike: { rabbitmq: 'closes without CONNACK' },
  },
  async (t) => {
    const client = await t.attempt({ version: 4, clientId: '', cleanStart: false });
    expect(client.connack.code).toBe(2);
    await client.closed();
  },
);

specTest(
  {
    section: 'MQTT-3.1.2-22 (3.1.1)',
    rule: 'a password without a user name is malformed in 3.1.1',
    unlike: { rabbitmq: 'not authorised' },
  },
  async (t) => {
    const client = await t.dial(4);
    client.write(connectPacket({ version: 4, clientId: t.name('c'), password: 'p' }));
    await client.closed();
    expect(client.unread.every(({ code }) => code !== 0)).toBe(true);
  },
);

specTest(
  { section: 'MQTT-3.1.2-1', rule: 'a wrong protocol name ends the connection' },
  async (t) => {
    const client = await t.dial();
    client.write(connectPacket({ protocolName: 'HTTP', clientId: t.name('c') }));
    await client.closed();
    expect(client.unread.every(({ code }) => code !== 0)).toBe(true);
  },
);

specTest(
  {
    section: 'MQTT-3.1.2-2',
    rule: 'an unknown protocol level is answered with 1 or 0x84',
    unlike: { rabbitmq: 'closes without CONNACK' },
  },
  async (t) => {
    const client = await t.dial();
    client.write(connectPacket({ version: 4, level: 9, clientId: t.name('c') }));
    await client.closed();
    for (const { code } of client.unread) expect([1, 0x84]).toContain(code);
  },
);

specTest(
  { section: 'MQTT-3.1.2-23', rule: 'session expiry 0 ends the session with the connection' },
  async (t) => {
    const clientId = t.name('c');
    const first = await t.connect({ clientId, properties: { sessionExpiry: 0 } });
    await first.disconnect();
    const second = await t.connect({ clientId, cleanStart: false });
    expect(second.connack.sessionPresent).toBe(false);
  },
);

specTest(
  {
    section: '3.2.2.3',
    rule: 'CONNACK states only limits that are legal values',
    unlike: { rabbitmq: 'has QoS 1 only' },
  },
  async (t) => {
    const { properties } = (await t.connect()).connack;
    expect(properties.maximumQos ?? 2).toBe(2);
    expect(properties.retainAvailable ?? 1).toBe(1);
    expect(properties.receiveMaximum ?? 65_535).toBeGreaterThan(0);
    expect(properties.maximumPacketSize ?? 1).toBeGreaterThan(0);
    expect(properties.wildcardAvailable ?? 1).toBe(1);
    expect(properties.subscriptionIdAvailable ?? 1).toBe(1);
    expect(properties.sharedAvailable ?? 1).toBe(1);
  },
);

specTest(
  {
    section: '4.12',
    rule: 'an unknown authentication method is refused with 0x8C',
    unlike: { rabbitmq: 'has no enhanced authentication' },
  },
  async (t) => {
    const client = await t.attempt({ properties: { authMethod: 'NO-SUCH-METHOD' } });
    expect(client.connack.code).toBe(0x8c);
    await client.closed();
  },
);

specTest(
  {
    section: 'MQTT-4.12.0-1',
    rule: 'AUTH on a connection without a method is a protocol error',
    unlike: { rabbitmq: 'has no AUTH' },
  },
  async (t) => {
    const client = await t.connect();
    client.write(authPacket(0x19, { authMethod: 'SCRAM-SHA-256' }));
    const end = await client.closed();
    if (end !== undefined) expect(end.type).toBe(DISCONNECT);
    if (peer === undefined) expect(end?.code).toBe(0x82);
    expect(client.unread.some(({ type }) => type === AUTH)).toBe(false);
  },
);

specTest({ section: '3.1.2.11', rule: 'a property twice is a protocol error' }, async (t) => {
  const client = await t.dial();
  const twice = Buffer.from([0x11, 0, 0, 0, 1, 0x11, 0, 0, 0, 1]);
  const bytes = Buffer.concat([
    Buffer.from([0, 4]),
    Buffer.from('MQTT'),
    Buffer.from([5, 2, 0, 0, twice.length]),
    twice,
    Buffer.from([0, 1, 0x78]),
  ]);
  client.write(Buffer.concat([Buffer.from([0x10, bytes.length]), bytes]));
  await client.closed();
  const connack = client.unread.find(({ type }) => type === CONNACK);
  if (connack !== undefined) expect([0x81, 0x82]).toContain(connack.code);
});

specTest({ section: 'MQTT-3.1.2-24', rule: 'receive maximum 0 is a protocol error' }, async (t) => {
  const client = await t.dial();
  client.write(connectPacket({ clientId: t.name('c'), properties: { receiveMaximum: 0 } }));
  await client.closed();
  expect(client.unread.every(({ code }) => code !== 0)).toBe(true);
});

specTest(
  { section: '3.1.3.1', rule: 'client ids of 1000 bytes and of any letters work' },
  async (t) => {
    for (const clientId of [t.name('x').padEnd(1000, 'y'), `${t.name()} /+#Ωß漢字`]) {
      const client = await t.connect({ clientId });
      await client.sync();
    }
  },
);

specTest(
  { section: '3.14', rule: 'DISCONNECT closes the socket, and nothing after it counts' },
  async (t) => {
    for (const version of VERSIONS) {
      const topic = t.name();
      const reader = await t.subscriber(topic, 1);
      const client = await t.connect({ version });
      client.write(
        Buffer.concat([
          publishPacket({ version, topic, payload: 'before' }),
          Buffer.from([0xe0, 0]),
          publishPacket({ version, topic, payload: 'after' }),
        ]),
      );
      await client.closed();
      expect((await reader.message()).payload.toString()).toBe('before');
      await reader.silent();
    }
  },
);
