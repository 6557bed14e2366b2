import { expect } from 'vitest';
import { pause, useBroker } from '../support/spec-test.ts';

const { specTest } = useBroker();

specTest(
  { section: 'heartbeat', rule: 'the server sends them when idle for half the interval' },
  async (t) => {
    const connection = await t.connect({ heartbeat: 2 });
    const timer = setInterval(() => connection.sendHeartbeat(), 400);
    try {
      await pause(4_500);
    } finally {
      clearInterval(timer);
    }
    expect(connection.heartbeats).toBeGreaterThanOrEqual(2);
    expect(connection.isClosed).toBe(false);
  },
);

specTest({ section: 'heartbeat', rule: 'a silent client is closed' }, async (t) => {
  const connection = await t.connect({ heartbeat: 1 });
  const startedAt = Date.now();
  await connection.ended();
  const elapsedMs = Date.now() - startedAt;
  expect(elapsedMs).toBeGreaterThan(900);
  // Early is wrong; a busy machine may be late.
  expect(elapsedMs).toBeLessThan(20_000);
});

specTest({ section: 'heartbeat', rule: 'any traffic counts' }, async (t) => {
  const channel = await t.channel({ heartbeat: 2 });
  for (let round = 0; round < 8; round += 1) {
    await channel.sync();
    await pause(750);
  }
  await channel.sync();
});

specTest({ section: 'heartbeat', rule: '0 switches them off' }, async (t) => {
  const channel = await t.channel({ heartbeat: 0 });
  await pause(2_500);
  expect(channel.connection.heartbeats).toBe(0);
  await channel.sync();
});

specTest({ section: 'heartbeat', rule: "the client's value is used as it is" }, async (t) => {
  const channel = await t.channel({ heartbeat: 300 });
  await pause(1_200);
  await channel.sync();
});

specTest({ section: 'heartbeat', rule: 'comes between deliveries without harm' }, async (t) => {
  const channel = await t.channel({ heartbeat: 2 });
  const queue = await channel.queue('', { exclusive: true });
  await channel.consume(queue, { noAck: true });
  for (let index = 0; index < 20; index += 1) {
    channel.publish('', queue, `${index}`);
    channel.connection.sendHeartbeat();
    expect((await channel.delivery()).body).toBe(`${index}`);
    await pause(50);
  }
});
