import { describe, expect, test } from 'vitest';
import { type Place, SlotGate } from '../../../src/net/push/slot-gate.ts';

/** A gate of two per endpoint, three per tenant, four in all, and who runs in it. */
class Fixture {
  readonly gate = new SlotGate();
  readonly running: string[] = [];

  enter(name: string, endpoint: string, tenant: string): Place {
    const levels = [
      { name: `endpoint ${endpoint}`, max: 2 },
      { name: `tenant ${tenant}`, max: 3 },
      { name: 'all', max: 4 },
    ];
    return this.gate.enter(levels, () => this.running.push(name));
  }
}

describe('SlotGate', () => {
  test('lets things run until a level is full, then in order of arrival', () => {
    const fixture = new Fixture();
    const a = fixture.enter('a', 'x', 't');
    fixture.enter('b', 'x', 't');
    fixture.enter('c', 'x', 't');
    fixture.enter('d', 'x', 't');
    expect(fixture.running).toEqual(['a', 'b']);
    a.leave();
    expect(fixture.running).toEqual(['a', 'b', 'c']);
    a.leave();
    expect(fixture.running).toEqual(['a', 'b', 'c']);
  });

  test('a full endpoint holds up nobody else', () => {
    const fixture = new Fixture();
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) fixture.enter(name, 'slow', 't');
    fixture.enter('g', 'y', 't');
    fixture.enter('h', 'z', 'u');
    expect(fixture.running).toEqual(['a', 'b', 'g', 'h']);
  });

  test('a tenant with many endpoints leaves room for others', () => {
    const fixture = new Fixture();
    for (const name of ['a', 'b', 'c', 'd', 'e']) fixture.enter(name, name, 't');
    fixture.enter('f', 'f', 'u');
    expect(fixture.running).toEqual(['a', 'b', 'c', 'f']);
  });

  test('leaving a line gives back what was held in it', () => {
    const fixture = new Fixture();
    const places = ['a', 'b', 'c'].map((name) => fixture.enter(name, name, 't'));
    fixture.enter('d', 'd', 'u');
    // Holds its endpoint and its tenant, waits for the total.
    const e = fixture.enter('e', 'x', 'v');
    const f = fixture.enter('f', 'x', 'v');
    fixture.enter('g', 'x', 'v');
    e.leave();
    f.leave();
    expect(fixture.running).toEqual(['a', 'b', 'c', 'd']);
    places[0]!.leave();
    expect(fixture.running).toEqual(['a', 'b', 'c', 'd', 'g']);
  });

  test('remembers nothing of those that left', () => {
    const fixture = new Fixture();
    const places: Place[] = [];
    for (let index = 0; index < 50; index += 1) {
      places.push(fixture.enter(`${index}`, `${index % 7}`, `${index % 3}`));
    }
    expect(fixture.running).toHaveLength(4);
    // Whoever runs leaves, so that the next can run, in an order unlike that of arrival.
    for (let index = 49; index >= 0; index -= 1) places[(index * 7) % 50]!.leave();
    expect(fixture.gate.nameCount).toBe(0);
    expect(fixture.gate.takenOf('all')).toBe(0);
  });

  test('never lets more run than any level allows, and in the end everyone', () => {
    const fixture = new Fixture();
    const places = new Map<string, Place>();
    for (let index = 0; index < 100; index += 1) {
      places.set(`${index}`, fixture.enter(`${index}`, `${index % 5}`, `${index % 2}`));
    }
    for (let next = 0; next < 100; next += 1) {
      expect(fixture.running.length - next).toBeLessThanOrEqual(4);
      expect(fixture.running.length).toBeGreaterThan(next);
      places.get(fixture.running[next]!)!.leave();
    }
    expect(new Set(fixture.running).size).toBe(100);
  });
});
