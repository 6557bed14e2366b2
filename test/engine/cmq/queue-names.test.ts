import { describe, expect, test } from 'vitest';
import { QueueNames } from '../../../src/engine/cmq/queue-names.ts';
import { EngineFixture } from '../../support/engine-fixture.ts';

describe('names without regard to case', () => {
  test('lead to the exact queue first, else to the only one alike', async () => {
    const engine = await EngineFixture.open();
    const names = new QueueNames(engine.vhost.topology);
    const lower = engine.queue('orders');
    expect(names.find('orders')).toBe(lower);
    expect(names.find('ORDERS')).toBe(lower);
    const upper = engine.queue('ORDERS');
    expect(names.find('ORDERS')).toBe(upper);
    expect(names.find('orders')).toBe(lower);
    expect(names.find('Orders')).toBeUndefined();
    expect(names.isTaken('oRders')).toBe(true);
    engine.vhost.deleteQueue(engine.actor, 'orders', false, false);
    expect(names.find('orders')).toBe(upper);
    expect(names.isTaken('other')).toBe(false);
  });

  test('know at once of queues that are made', async () => {
    const engine = await EngineFixture.open();
    const names = new QueueNames(engine.vhost.topology);
    expect(names.isTaken('A')).toBe(false);
    for (const name of ['a', 'b']) {
      const queue = names.adding(() => engine.queue(name));
      expect(names.find(name.toUpperCase())).toBe(queue);
    }
    engine.queue('c');
    const queue = names.adding(() => engine.queue('d'));
    expect(names.find('D')).toBe(queue);
    expect(names.isTaken('C')).toBe(true);
  });
});
