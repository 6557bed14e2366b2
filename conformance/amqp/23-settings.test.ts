/**
 * What an operator may set about AMQP and a client can see: limits, names, SASL mechanisms. Runs
 * on a server of ours that is started with these settings.
 */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { ServerProcess } from '../support/server-process.ts';
import { WireConnection } from '../support/wire-client.ts';

const isExternal = inject('target').url !== undefined;

describe.skipIf(isExternal)('settings', () => {
  let server: ServerProcess;
  const open: WireConnection[] = [];

  const dial = async (): Promise<WireConnection> => {
    const connection = await WireConnection.dial(server.url);
    open.push(connection);
    return connection;
  };
  const connect = async (options = {}): Promise<WireConnection> => {
    const connection = await WireConnection.open(server.url, options);
    open.push(connection);
    return connection;
  };

  beforeAll(async () => {
    const settings = {
      'auth-mechanisms': 'PLAIN, ANONYMOUS',
      'max-message-size': '1MiB',
      'frame-max': '16KiB',
      'channel-max': '5',
      heartbeat: '17s',
      'server-product': 'Elsewhere',
      'server-version': '3.13.7',
      'cluster-name': 'the-cluster',
    };
    server = await ServerProcess.start({
      args: Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
    });
  });

  afterAll(async () => {
    for (const connection of open) connection.destroy();
    await server.dispose();
  });

  test('product, version and cluster name are announced', async () => {
    const { serverProperties } = await connect();
    expect(serverProperties).toMatchObject({
      product: 'Elsewhere',
      version: '3.13.7',
      cluster_name: 'the-cluster',
    });
  });

  test('frame-max, channel-max and heartbeat are proposed', async () => {
    const connection = await dial();
    await connection.authenticate();
    const tune = await connection.tune();
    expect([tune.frameMax, tune.channelMax, tune.heartbeat]).toEqual([16_384, 5, 17]);
  });

  test('channel-max is enforced', async () => {
    const connection = await connect();
    for (let id = 1; id <= 5; id += 1) await connection.channel(id);
    connection.bareChannel(6).send('channel.open');
    await connection.expectClose(530, 'NOT_ALLOWED');
  });

  test('a body at max-message-size passes, one byte more gets 406', async () => {
    const connection = await connect();
    const channel = await connection.channel();
    const queue = await channel.queue('', { exclusive: true });
    const limit = 1024 * 1024;
    channel.publish('', queue, Buffer.alloc(limit, 'm'));
    expect((await channel.getSoon(queue)).bytes.length).toBe(limit);
    channel.publish('', queue, Buffer.alloc(limit + 1, 'm'));
    await channel.expectClose(
      406,
      `PRECONDITION_FAILED - message size ${limit + 1} is larger than configured max size ${limit}`,
    );
    await (await connection.channel()).sync();
  });

  test('ANONYMOUS logs in when it is offered', async () => {
    const connection = await connect({ mechanism: 'ANONYMOUS', response: '' });
    const channel = await connection.channel();
    await channel.queue('', { exclusive: true });
  });

  test('a mechanism that is not offered is refused', async () => {
    const connection = await dial();
    await connection.authenticate({ mechanism: 'AMQPLAIN', response: '' });
    const error = await connection.outcome();
    expect([0, 403, 503]).toContain(error.code);
  });
});
