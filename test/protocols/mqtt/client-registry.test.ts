import { expect, it } from 'vitest';
import { ClientRegistry } from '../../../protocols/mqtt/client-registry.ts';
import { topicName } from '../../../protocols/mqtt/topic-name.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { EngineFixture } from '../../support/engine-fixture.ts';

const YEAR_MS = 365 * 86_400_000;

it('keeps no wills of a client that comes and goes', async () => {
  const { actor, vhost } = await EngineFixture.open();
  const registry = new ClientRegistry(silentLogger);
  const will = {
    topic: topicName('gone', 4),
    qos: 1,
    isRetain: false,
    payload: Buffer.alloc(65_535),
    delaySeconds: YEAR_MS / 1000,
    expirySeconds: -1,
    payloadFormat: -1,
    properties: Buffer.alloc(0),
  };
  for (let visit = 0; visit < 1_000; visit += 1) {
    registry.leaveWill(actor, 'device', will, YEAR_MS, visit);
    registry.settleWill(vhost.name, 'device', true, visit);
  }
  expect(registry.hasWaitingWills).toBe(false);
  expect(registry.keptWillCount).toBeLessThan(100);
  for (let device = 0; device < 200; device += 1) {
    registry.leaveWill(actor, `device ${device}`, will, YEAR_MS, device);
  }
  expect(registry.keptWillCount).toBeGreaterThanOrEqual(200);
});
