import { beforeEach, describe, expect, test } from 'vitest';
import { HOLD_LOGIN, HOLD_READS, HOLD_REPLIES, InputGate } from '../../src/net/input-gate.ts';
import { FakeTransport } from './fake-transport.ts';

let transport: FakeTransport;
let pressure: { alarms: Set<string>; isOverloaded: boolean };
let told: string[];
let gate: InputGate;

beforeEach(() => {
  transport = new FakeTransport();
  pressure = { alarms: new Set(), isOverloaded: false };
  told = [];
  const input = {
    pause: () => void transport.calls.push('input pause'),
    resume: () => void transport.calls.push('input resume'),
  };
  gate = new InputGate(pressure, transport, input, {
    blocked: (reason) => void told.push(reason),
    unblocked: () => void told.push('unblocked'),
  });
});

/** What was done since the last call. */
function calls(): string[] {
  return transport.calls.splice(0);
}

describe('the input gate', () => {
  test('pauses parser and socket with the first reason, and resumes with the end of the last', () => {
    gate.hold(HOLD_LOGIN);
    expect(calls()).toEqual(['input pause', 'pause']);
    gate.hold(HOLD_REPLIES);
    gate.hold(HOLD_REPLIES);
    expect(calls()).toEqual([]);
    expect([gate.has(HOLD_LOGIN), gate.has(HOLD_REPLIES), gate.has(HOLD_READS)]).toEqual([
      true,
      true,
      false,
    ]);
    gate.release(HOLD_READS);
    gate.release(HOLD_LOGIN);
    expect(calls()).toEqual([]);
    expect(gate.excusesSilence).toBe(false);
    gate.release(HOLD_REPLIES);
    expect(calls()).toEqual(['resume', 'input resume']);
  });

  test('ends several reasons at once', () => {
    gate.hold(HOLD_LOGIN);
    gate.hold(HOLD_READS);
    calls();
    gate.release(HOLD_LOGIN | HOLD_REPLIES | HOLD_READS);
    expect(calls()).toEqual(['resume', 'input resume']);
  });

  test('pressure is nothing to who does not publish', () => {
    pressure.alarms.add('memory');
    pressure.isOverloaded = true;
    gate.update();
    expect(calls()).toEqual([]);
    expect(told).toEqual([]);
    gate.becamePublisher();
    expect(calls()).toEqual(['pause']);
    expect(told).toEqual(['low on memory']);
    expect(gate.excusesSilence).toBe(true);
  });

  test('a backlog is felt, an alarm is told too: once, and once that all are over', () => {
    gate.becamePublisher();
    pressure.isOverloaded = true;
    gate.update();
    expect(calls()).toEqual(['pause']);
    pressure.alarms.add('disk');
    gate.update();
    pressure.alarms.add('memory');
    gate.update();
    pressure.alarms.delete('disk');
    gate.update();
    expect(told).toEqual(['low on disk']);
    pressure.alarms.clear();
    gate.update();
    expect(told).toEqual(['low on disk', 'unblocked']);
    expect(calls()).toEqual([]);
    pressure.isOverloaded = false;
    gate.update();
    expect(calls()).toEqual(['resume']);
  });

  test('a hold and pressure end in any order; only the hold concerns the parser', () => {
    gate.becamePublisher();
    gate.hold(HOLD_REPLIES);
    pressure.alarms.add('memory');
    gate.update();
    calls();
    expect(gate.excusesSilence).toBe(false);
    gate.release(HOLD_REPLIES);
    expect(calls()).toEqual(['input resume']);
    expect(gate.excusesSilence).toBe(true);
    gate.hold(HOLD_REPLIES);
    pressure.alarms.clear();
    gate.update();
    expect(calls()).toEqual(['input pause']);
    gate.release(HOLD_REPLIES);
    expect(calls()).toEqual(['resume', 'input resume']);
  });

  test('opened, it reads whatever held it, and pressure holds it no more', () => {
    gate.becamePublisher();
    pressure.alarms.add('memory');
    gate.update();
    gate.hold(HOLD_READS);
    calls();
    gate.open();
    expect(calls()).toEqual(['resume', 'input resume']);
    gate.update();
    expect(calls()).toEqual([]);
    expect(told).toEqual(['low on memory']);
  });

  test('opened under pressure alone, the socket is read again', () => {
    gate.becamePublisher();
    pressure.isOverloaded = true;
    gate.update();
    calls();
    gate.open();
    expect(calls()).toEqual(['resume']);
  });
});
