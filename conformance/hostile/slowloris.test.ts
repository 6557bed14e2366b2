/** Clients that stop, or go on very slowly, in every state of the handshake. */
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { encodeTable, methodFrame, PROTOCOL_HEADER } from '../support/amqp-wire.ts';
import type { WireConnection } from '../support/wire-client.ts';
import { Arena } from './arena.ts';

const isExternal = inject('target').url !== undefined;
/** Ms. Long enough for those who do log in on a busy machine. */
const HANDSHAKE_MS = 3_000;

const START_OK = methodFrame(0, 'connection.start-ok', {
  clientProperties: { product: 'slow' },
  mechanism: 'PLAIN',
  response: '\0guest\0guest',
  locale: 'en_US',
});
const TUNE_OK = methodFrame(0, 'connection.tune-ok', { frameMax: 131_072, channelMax: 2047 });
const OPEN = methodFrame(0, 'connection.open', { virtualHost: '/' });

/** What was sent before the client fell silent. */
const STATES: readonly (readonly [string, Buffer])[] = [
  ['nothing', Buffer.alloc(0)],
  ['half a protocol header', PROTOCOL_HEADER.subarray(0, 4)],
  ['the protocol header', PROTOCOL_HEADER],
  ['half of start-ok', Buffer.concat([PROTOCOL_HEADER, START_OK.subarray(0, 20)])],
  ['start-ok', Buffer.concat([PROTOCOL_HEADER, START_OK])],
  ['half of tune-ok', Buffer.concat([PROTOCOL_HEADER, START_OK, TUNE_OK.subarray(0, 9)])],
  ['tune-ok', Buffer.concat([PROTOCOL_HEADER, START_OK, TUNE_OK])],
  ['half of open', Buffer.concat([PROTOCOL_HEADER, START_OK, TUNE_OK, OPEN.subarray(0, 8)])],
];

describe.skipIf(isExternal)('slowloris', () => {
  let arena: Arena;

  beforeAll(async () => {
    arena = await Arena.open(['--handshake-timeout', `${HANDSHAKE_MS}ms`]);
  });

  afterEach(async () => {
    await arena.check();
  });

  afterAll(async () => {
    await arena.close();
  });

  const raw = async (): Promise<WireConnection> => {
    const connection = await arena.dial();
    connection.goRaw();
    return connection;
  };

  test('silent in every state of the handshake', async () => {
    // All at once, in one test: the check after a test destroys every connection.
    const fallSilent = async ([state, bytes]: (typeof STATES)[number]): Promise<void> => {
      const connection = await raw();
      const startedAt = Date.now();
      connection.write(bytes);
      await connection.ended();
      expect(Date.now() - startedAt, `after ${state}`).toBeGreaterThan(HANDSHAKE_MS * 0.8);
    };
    await Promise.all(STATES.map(fallSilent));
  });

  test('a byte now and then does not buy time', async () => {
    const connection = await raw();
    const bytes = Buffer.concat([PROTOCOL_HEADER, START_OK, TUNE_OK, OPEN]);
    let at = 0;
    const timer = setInterval(() => {
      if (at < bytes.length) connection.write(bytes.subarray(at, at + 1));
      at += 1;
    }, 50);
    try {
      await connection.ended();
    } finally {
      clearInterval(timer);
    }
    expect(at).toBeLessThan(bytes.length);
  });

  test('five hundred silent sockets are all let go', async () => {
    const all = await Promise.all(Array.from({ length: 500 }, () => raw()));
    await arena.bystander.oneMore();
    await Promise.all(all.map((connection) => connection.ended()));
  });

  test('failed logins cost a delay, not the server', async () => {
    const attempts = Array.from({ length: 50 }, async () => {
      const connection = await raw();
      connection.write(PROTOCOL_HEADER);
      connection.write(
        methodFrame(0, 'connection.start-ok', {
          mechanism: 'AMQPLAIN',
          response: encodeTable({ LOGIN: 'guest', PASSWORD: 'wrong' }).subarray(4),
          locale: 'en_US',
        }),
      );
      await connection.ended();
    });
    await Promise.all(attempts);
  });
});
