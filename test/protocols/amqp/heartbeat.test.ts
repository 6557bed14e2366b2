import { expect, test } from 'vitest';
import {
  HEARTBEAT_DEAD,
  HEARTBEAT_IDLE,
  HEARTBEAT_SEND,
  Heartbeat,
} from '../../../protocols/amqp/heartbeat.ts';

test('sends after half an interval of silence, and again after the next half', () => {
  const heartbeat = new Heartbeat(10, 0);
  heartbeat.didRead = true;
  expect(heartbeat.tick(4_900, true)).toBe(HEARTBEAT_IDLE);
  expect(heartbeat.tick(5_000, true)).toBe(HEARTBEAT_SEND);
  expect(heartbeat.tick(5_500, true)).toBe(HEARTBEAT_IDLE);
  expect(heartbeat.tick(10_000, true)).toBe(HEARTBEAT_SEND);
});

test('traffic we sent counts as a heartbeat', () => {
  const heartbeat = new Heartbeat(10, 0);
  heartbeat.didWrite = true;
  expect(heartbeat.tick(5_000, true)).toBe(HEARTBEAT_IDLE);
  expect(heartbeat.tick(9_900, true)).toBe(HEARTBEAT_IDLE);
  expect(heartbeat.tick(10_000, true)).toBe(HEARTBEAT_SEND);
});

test('declares the peer dead after two silent intervals', () => {
  const heartbeat = new Heartbeat(2, 0);
  heartbeat.didRead = true;
  heartbeat.tick(500, true);
  expect(heartbeat.tick(4_400, true)).not.toBe(HEARTBEAT_DEAD);
  expect(heartbeat.tick(4_500, true)).toBe(HEARTBEAT_DEAD);
});

test('silence does not count while the broker itself does not read', () => {
  const heartbeat = new Heartbeat(2, 0);
  expect(heartbeat.tick(10_000, false)).not.toBe(HEARTBEAT_DEAD);
  expect(heartbeat.tick(13_000, true)).not.toBe(HEARTBEAT_DEAD);
  expect(heartbeat.tick(14_000, true)).toBe(HEARTBEAT_DEAD);
});

test('0 switches heartbeats off', () => {
  const heartbeat = new Heartbeat(0, 0);
  expect(heartbeat.tick(1e9, true)).toBe(HEARTBEAT_IDLE);
});
