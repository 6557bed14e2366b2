import { createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { silentLogger } from '../../src/base/logger.ts';
import { defaultConfig } from '../../src/server/config.ts';
import {
  chooseHosts,
  listenError,
  listenOnAll,
  METRICS_PROTOCOL,
  toBlockList,
} from '../../src/server/listeners.ts';

const HANDLER = {
  onChunk: () => undefined,
  onDrain: () => undefined,
  onClosed: () => undefined,
};
const BASE = { protocol: 'amqp', config: defaultConfig(), logger: silentLogger };

describe('chooseHosts', () => {
  test('stays on this machine while guest is the only user', () => {
    expect(chooseHosts([], ['guest'])).toEqual({ hosts: ['127.0.0.1', '::1'], isExplicit: false });
  });

  test('opens up once there is a user with a chosen password', () => {
    expect(chooseHosts([], ['guest', 'orders']).hosts).toEqual(['0.0.0.0', '::']);
  });

  test('does as told', () => {
    const hosts = ['192.0.2.1'];
    expect(chooseHosts(hosts, ['guest'])).toEqual({ hosts, isExplicit: true });
  });
});

describe('listenOnAll', () => {
  test('uses the same free port on all addresses', async () => {
    const request = { ...BASE, hosts: ['127.0.0.1', '127.0.0.2'], isExplicit: true, port: 0 };
    const open = await listenOnAll(request, () => HANDLER);
    const ports = open.map(({ listener }) => listener.address.port);
    for (const { listener } of open) await listener.close();
    expect(ports[0]).toBeGreaterThan(0);
    expect(ports).toEqual([ports[0], ports[0]]);
  });

  test('says which address is taken, and leaves none open', async () => {
    const blocker = createServer();
    await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.2', resolve));
    const { port } = blocker.address() as { port: number };
    const request = { ...BASE, hosts: ['127.0.0.1', '127.0.0.2'], isExplicit: true, port };
    await expect(listenOnAll(request, () => HANDLER)).rejects.toThrow(
      new RegExp(
        `^cannot listen for amqp on 127.0.0.2 port ${port}: .* \\(amqp-port: another port, or off\\)$`,
      ),
    );
    const probe = createServer();
    await new Promise<void>((resolve) => probe.listen(port, '127.0.0.1', resolve));
    probe.close();
    blocker.close();
  });
});

test.each([
  ['EADDRINUSE', 'http/web-mqtt', 'web-mqtt-port: another port, or off'],
  ['EACCES', 'amqp', 'amqp-port: a port above 1023, or let this process bind lower ones'],
  ['EADDRNOTAVAIL', 'mqtt', 'host: an address or name of this machine'],
  ['EADDRINUSE', METRICS_PROTOCOL, 'metrics-port: another port, or off'],
])('%s for %s names the option', (code, protocol, advice) => {
  const cause = Object.assign(new Error(`listen ${code}`), { code });
  expect(listenError(protocol, '127.0.0.1', 80, cause).message).toBe(
    `cannot listen for ${protocol} on 127.0.0.1 port 80: listen ${code} (${advice})`,
  );
});

test('address blocks match', () => {
  const list = toBlockList([
    { address: '10.0.0.0', prefixBits: 8 },
    { address: '::1', prefixBits: 128 },
  ]);
  expect(list.check('10.1.2.3', 'ipv4')).toBe(true);
  expect(list.check('11.1.2.3', 'ipv4')).toBe(false);
  expect(list.check('::1', 'ipv6')).toBe(true);
});
