/**
 * AMQP over TLS: the same protocol on another port, SASL EXTERNAL by client certificate, and a
 * renewed certificate taken up without a restart.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { ServerProcess } from '../support/server-process.ts';
import { type OpenOptions, type Target, WireConnection } from '../support/wire-client.ts';

const isExternal = inject('target').url !== undefined;
const FIXTURES = path.resolve(import.meta.dirname, '../../test/fixtures/tls');
const fixture = (name: string): Buffer => fs.readFileSync(path.join(FIXTURES, name));

describe.skipIf(isExternal)('TLS', () => {
  let directory = '';
  const at = (name: string): string => path.join(directory, name);
  let server: ServerProcess;
  const open: WireConnection[] = [];

  const target = (options: tls.ConnectionOptions = {}): Target => ({
    host: '127.0.0.1',
    port: server.port('amqps'),
    user: 'guest',
    password: 'guest',
    vhost: '/',
    tls: { ca: fixture('ca.pem'), servername: 'localhost', ...options },
  });
  const connect = async (
    tlsOptions: tls.ConnectionOptions = {},
    options: OpenOptions = {},
  ): Promise<WireConnection> => {
    const connection = await WireConnection.open(target(tlsOptions), options);
    open.push(connection);
    return connection;
  };
  const certificate = { cert: fixture('client.pem'), key: fixture('client.key') };

  beforeAll(async () => {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), 'conformance-tls-'));
    for (const name of ['server.pem', 'server.key', 'ca.pem']) {
      fs.writeFileSync(at(name), fixture(name));
    }
    const everything = { configure: '.*', write: '.*', read: '.*' };
    const users = ['guest', 'orders'];
    const definitions = {
      vhosts: [{ name: '/' }],
      users: users.map((name) => ({ name, password: name, tags: '' })),
      permissions: users.map((user) => ({ user, vhost: '/', ...everything })),
    };
    fs.writeFileSync(at('definitions.json'), JSON.stringify(definitions));
    const settings = {
      host: '127.0.0.1',
      'load-definitions': at('definitions.json'),
      'amqps-port': '0',
      'tls-cert': at('server.pem'),
      'tls-key': at('server.key'),
      'tls-ca': at('ca.pem'),
      'tls-client-certificate': 'optional',
      'tls-client-name': 'common-name',
      'auth-mechanisms': 'PLAIN, EXTERNAL',
    };
    server = await ServerProcess.start({
      args: Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
    });
  });

  afterAll(async () => {
    for (const connection of open) connection.destroy();
    await server.dispose();
    fs.rmSync(directory, { recursive: true, force: true });
  });

  test('publish and get, bodies of many records', async () => {
    const channel = await (await connect()).channel();
    const queue = await channel.queue('', { exclusive: true });
    const body = Buffer.alloc(500_000, 't');
    channel.publish('', queue, body);
    expect((await channel.getSoon(queue)).bytes.equals(body)).toBe(true);
  });

  test('a client that does not know the authority refuses', async () => {
    await expect(connect({ ca: [] })).rejects.toThrow(/certificate/);
  });

  test('EXTERNAL takes the user name from the certificate', async () => {
    const connection = await connect(certificate, { mechanism: 'EXTERNAL', response: '' });
    const channel = await connection.channel();
    const queue = await channel.queue('', { exclusive: true });
    channel.publish('', queue, 'x', { userId: 'orders' });
    expect((await channel.getSoon(queue)).properties.userId).toBe('orders');
  });

  test('EXTERNAL without a certificate is refused', async () => {
    const external = connect({}, { mechanism: 'EXTERNAL', response: '' });
    await expect(external).rejects.toThrow(/closed/);
  });

  test('plain AMQP on the TLS port goes nowhere', async () => {
    const { tls: _, ...plain } = target();
    const connection = await WireConnection.dial(plain);
    connection.goRaw();
    connection.write(Buffer.from('AMQP\0\0\x09\x01', 'latin1'));
    await connection.ended();
  });

  test('a renewed certificate is taken up; connections live on', async () => {
    const before = await (await connect()).channel();
    const serial = async (): Promise<string> =>
      await new Promise((resolve, reject) => {
        const socket = tls.connect(
          { host: '127.0.0.1', port: server.port('amqps'), ...target().tls },
          () => {
            resolve(socket.getPeerCertificate().serialNumber);
            socket.destroy();
          },
        );
        socket.once('error', reject);
      });
    const old = await serial();
    // Back to the first one when this is tried again.
    const isFirst = fs.readFileSync(at('server.pem')).equals(fixture('server.pem'));
    const next = isFirst ? 'server-renewed' : 'server';
    fs.writeFileSync(at('server.key'), fixture(`${next}.key`));
    fs.writeFileSync(at('server.pem'), fixture(`${next}.pem`));
    process.kill(server.pid, 'SIGHUP');
    const until = Date.now() + 30_000;
    while ((await serial()) === old && Date.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(await serial()).not.toBe(old);
    await before.sync();
    await (await connect()).channel();
  });
});
