/** What strangers say is in the log, but not all of it: its lines are bounded. */
import { expect, test } from 'vitest';
import { createMqttAcceptor } from '../../../protocols/mqtt/listener.ts';
import { DEFAULT_MQTT_SETTINGS } from '../../../protocols/mqtt/settings.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { FlushSet } from '../../../src/net/flush-set.ts';
import { EngineFixture } from '../../support/engine-fixture.ts';
import { FakeTransport } from '../../net/fake-transport.ts';

test('a method of 65,500 bytes is a short line', async () => {
  const { broker, clock } = await EngineFixture.open();
  const lines: string[] = [];
  const warn = (fields: object): void => void lines.push(JSON.stringify(fields));
  const acceptor = createMqttAcceptor({
    broker,
    flushSet: new FlushSet(() => undefined),
    settings: DEFAULT_MQTT_SETTINGS,
    logger: { ...silentLogger, warn, error: warn },
    clock,
  });
  const handler = acceptor.accept(new FakeTransport());
  const method = Buffer.alloc(65_500, 'm');
  const body = Buffer.concat([
    Buffer.from([0, 4, 77, 81, 84, 84, 5, 2, 0, 0, 0xdf, 0xff, 0x03, 0x15, 0xff, 0xdc]),
    method,
    Buffer.from([0, 0]),
  ]);
  expect(body.length).toBe(65_518);
  handler.onChunk(Buffer.concat([Buffer.from([0x10, 0xee, 0xff, 0x03]), body]));
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain('the method mmm');
  expect(lines[0]!.length).toBeLessThan(1_500);
});
