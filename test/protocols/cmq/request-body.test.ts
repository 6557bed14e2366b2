import { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { expect, test } from 'vitest';
import { type Body, RequestBodies } from '../../../protocols/cmq/request-body.ts';

const MIB = 1024 * 1024;
/** The same memory again and again: what counts is counted, not kept. */
const CHUNK = Buffer.alloc(MIB, 'x');

class Sender extends EventEmitter {
  body: Body | undefined;
  isDestroyed = false;

  constructor(bodies: RequestBodies) {
    super();
    bodies.read(this as unknown as IncomingMessage, (body) => {
      this.body = body;
    });
  }

  destroy(): void {
    this.isDestroyed = true;
    this.emit('close');
  }

  send(chunk: Buffer, count = 1): this {
    for (let sent = 0; sent < count; sent += 1) this.emit('data', chunk);
    return this;
  }

  end(): Body | undefined {
    this.emit('end');
    this.emit('close');
    return this.body;
  }
}

test('a body comes whole, whatever its pieces', () => {
  const bodies = new RequestBodies();
  expect(new Sender(bodies).end()).toEqual(Buffer.alloc(0));
  expect(new Sender(bodies).send(Buffer.from('ab')).end()).toEqual(Buffer.from('ab'));
  const pieces = new Sender(bodies).send(Buffer.from('ab')).send(Buffer.from('c'));
  expect(pieces.end()).toEqual(Buffer.from('abc'));
});

test('one byte above 1 MB is too large, and 16 MB are not read', () => {
  const bodies = new RequestBodies();
  expect(new Sender(bodies).send(CHUNK).end()).toHaveLength(MIB);
  expect(new Sender(bodies).send(CHUNK).send(Buffer.alloc(1)).end()).toBe('too large');
  expect(new Sender(bodies).send(CHUNK, 16).isDestroyed).toBe(false);
  expect(new Sender(bodies).send(CHUNK, 17).isDestroyed).toBe(true);
});

test('bodies that have not come whole fill 128 MB and no more', () => {
  const bodies = new RequestBodies();
  const senders = Array.from({ length: 128 }, () => new Sender(bodies).send(CHUNK));
  expect(new Sender(bodies).send(CHUNK.subarray(0, 16_385)).end()).toBe('too many');
  // Small ones always get in.
  expect(new Sender(bodies).send(CHUNK.subarray(0, 16_384)).end()).toHaveLength(16_384);
  // Room again: one came whole, one went, one was too large.
  expect(senders[0]!.end()).toHaveLength(MIB);
  expect(new Sender(bodies).send(CHUNK).end()).toHaveLength(MIB);
  senders[1]!.emit('close');
  senders[2]!.send(CHUNK);
  expect(new Sender(bodies).send(CHUNK).end()).toHaveLength(MIB);
  expect(senders[2]!.end()).toBe('too large');
  for (const sender of senders.slice(3)) sender.end();
  // Nothing was given back twice: the same room as at the start.
  for (let count = 0; count < 128; count += 1) new Sender(bodies).send(CHUNK);
  expect(new Sender(bodies).send(CHUNK).end()).toBe('too many');
});
