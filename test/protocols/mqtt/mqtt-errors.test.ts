import { expect, test } from 'vitest';
import {
  MqttError,
  isAnsweredInAck,
  malformed,
  protocolError,
  reasonCodeOf,
} from '../../../protocols/mqtt/mqtt-errors.ts';
import { PUBACK, PUBCOMP, SUBACK, UNSUBACK } from '../../../protocols/mqtt/spec/packets.ts';
import { connack3, reasonName } from '../../../protocols/mqtt/spec/reason-codes.ts';
import { BrokerError } from '../../../src/base/errors.ts';

test('every error has a code', () => {
  expect(reasonCodeOf(malformed('x'))).toBe(0x81);
  expect(reasonCodeOf(protocolError('x'))).toBe(0x82);
  expect(reasonCodeOf(new BrokerError('ACCESS_REFUSED', 'x'))).toBe(0x87);
  expect(reasonCodeOf(new BrokerError('RESOURCE_ERROR', 'x'))).toBe(0x97);
  expect(reasonCodeOf(new Error('x'))).toBe(0x80);
});

test('what closes and what is answered', () => {
  expect(malformed('x').answer).toBe('close');
  expect(new MqttError(0x87, 'x').answer).toBe('ack');
  expect(isAnsweredInAck(new BrokerError('ACCESS_REFUSED', 'x'), PUBACK)).toBe(true);
  expect(isAnsweredInAck(new MqttError(0x97, 'x'), PUBACK)).toBe(true);
  // UNSUBACK has no such code.
  expect(isAnsweredInAck(new MqttError(0x97, 'x'), UNSUBACK)).toBe(false);
  expect(isAnsweredInAck(new MqttError(0x8f, 'x'), SUBACK)).toBe(true);
  expect(isAnsweredInAck(new MqttError(0x92, 'x'), PUBCOMP)).toBe(true);
  expect(isAnsweredInAck(new MqttError(0x90, 'x'), PUBACK)).toBe(false);
  expect(isAnsweredInAck(malformed('x'), PUBACK)).toBe(false);
});

test('codes of 3.x, and names', () => {
  expect([0, 0x84, 0x85, 0x88, 0x86, 0x87].map(connack3)).toEqual([0, 1, 2, 3, 4, 5]);
  expect(connack3(0x81)).toBe(-1);
  expect(connack3(0x33)).toBe(-1);
  expect(reasonName(0x8e)).toBe('Session taken over');
  expect(reasonName(0x33)).toBe('reason 0x33');
});
