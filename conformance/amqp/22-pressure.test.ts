/**
 * connection.blocked: publishers hear of an alarm, consumers keep draining. The alarm is forced by
 * a disk limit no disk meets, so the server is one of our own.
 */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { ServerProcess } from '../support/server-process.ts';
import { type WireChannel, WireConnection } from '../support/wire-client.ts';

const isExternal = inject('target').url !== undefined;

describe.skipIf(isExternal)('connection.blocked at a disk alarm', () => {
  let server: ServerProcess;
  const open: WireConnection[] = [];

  const channelOf = async (capabilities?: Record<string, unknown>): Promise<WireChannel> => {
    const options = capabilities === undefined ? {} : { capabilities };
    const connection = await WireConnection.open(server.url, options);
    open.push(connection);
    return await connection.channel();
  };

  beforeAll(async () => {
    server = await ServerProcess.start({ args: ['--disk-free-limit', '900TB'] });
  });

  afterAll(async () => {
    for (const connection of open) connection.destroy();
    await server.dispose();
  });

  test('a publisher is told, with a reason', async () => {
    const channel = await channelOf();
    channel.publish('', 'nowhere', 'x');
    const blocked = await channel.connection.control.expect('connection.blocked');
    expect(blocked.reason).toMatch(/disk/);
  });

  test('told once, not at every publish', async () => {
    const channel = await channelOf();
    for (let index = 0; index < 20; index += 1) channel.publish('', 'nowhere', 'x');
    await channel.connection.control.expect('connection.blocked');
    await channel.connection.control.expectNothing(200);
  });

  test('without the capability nothing is sent', async () => {
    const channel = await channelOf({});
    channel.publish('', 'nowhere', 'x');
    await channel.connection.control.expectNothing(300);
  });

  test('a connection that does not publish works on', async () => {
    const channel = await channelOf();
    const queue = await channel.queue('', { exclusive: true });
    await channel.consume(queue);
    await channel.sync();
    await channel.connection.control.expectNothing(100);
  });

  test('a blocked connection can still be closed', async () => {
    const channel = await channelOf();
    channel.publish('', 'nowhere', 'x');
    await channel.connection.control.expect('connection.blocked');
    channel.connection.end();
    await channel.connection.ended();
  });
});
