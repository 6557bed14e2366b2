import { expect } from 'vitest';
import { pause, useMqtt, VERSIONS } from '../support/mqtt-test.ts';
import { PINGREQ_PACKET, PINGRESP } from '../support/mqtt-wire.ts';

const { specTest, peer } = useMqtt();

for (const version of VERSIONS) {
  specTest(
    { section: 'MQTT-3.1.2-22', rule: `${version}: silence of 1.5 times the interval is the end` },
    async (t) => {
      const client = await t.connect({ version, keepAlive: 2 });
      const startedAt = Date.now();
      const end = await client.closed();
      const elapsedMs = Date.now() - startedAt;
      expect(elapsedMs).toBeGreaterThan(2_500);
      // Early is wrong; a busy machine may be late.
      expect(elapsedMs).toBeLessThan(30_000);
      if (version === 5 && peer === undefined) expect(end?.code).toBe(0x8d);
    },
  );

  specTest({ section: '3.12', rule: `${version}: PINGREQ keeps it up` }, async (t) => {
    const client = await t.connect({ version, keepAlive: 6 });
    for (let round = 0; round < 5; round += 1) {
      await pause(2_400);
      client.write(PINGREQ_PACKET);
      await client.next(PINGRESP);
    }
  });

  specTest({ section: '3.1.2.10', rule: `${version}: any packet keeps it up` }, async (t) => {
    const client = await t.connect({ version, keepAlive: 6 });
    for (let round = 0; round < 5; round += 1) {
      await pause(2_400);
      await client.publish(t.name(), 'x', { qos: round % 2 });
    }
    await client.sync();
  });

  specTest(
    { section: '3.1.2.10', rule: `${version}: deliveries to the client do not keep it up` },
    async (t) => {
      const topic = t.name();
      const client = await t.connect({ version, keepAlive: 1 });
      await client.subscribe(topic, 0);
      const writer = await t.connect({ version });
      const startedAt = Date.now();
      while (!client.isClosed && Date.now() - startedAt < 60_000) {
        await writer.publish(topic, 'x');
        await pause(200);
      }
      expect(client.isClosed).toBe(true);
    },
  );

  specTest({ section: '3.1.2.10', rule: `${version}: 0 switches it off` }, async (t) => {
    const client = await t.connect({ version, keepAlive: 0 });
    await pause(3_000);
    await client.sync();
  });
}

specTest(
  {
    section: '3.1.0',
    rule: 'a socket that never sends CONNECT is closed',
    unlike: { mosquitto: 'waits long', rabbitmq: 'waits 30 s' },
  },
  async (t) => {
    const client = await t.dial();
    await client.closed(60_000);
  },
);
