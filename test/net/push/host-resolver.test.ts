import { createSocket, type RemoteInfo } from 'node:dgram';
import { afterEach, describe, expect, test } from 'vitest';
import { SystemResolver } from '../../../src/net/push/host-resolver.ts';

const TYPE_A = 1;
const TYPE_AAAA = 28;

const cleanUps: (() => void)[] = [];

afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp();
});

type Records = Readonly<Record<number, readonly (readonly number[])[]>>;

/** A name server with the same records for every name; without any it does not answer. */
async function serve(records: Records | undefined): Promise<{ address: string; asked: number[] }> {
  const socket = createSocket('udp4');
  const asked: number[] = [];
  socket.on('message', (question: Buffer, { port }: RemoteInfo) => {
    // The type follows the name, which ends with an empty label.
    const typeAt = question.indexOf(0, 12) + 1;
    const type = question.readUInt16BE(typeAt);
    asked.push(type);
    if (records === undefined) return;
    const found = records[type] ?? [];
    const head = Buffer.from([
      ...question.subarray(0, 2),
      0x81,
      0x80,
      0,
      1,
      0,
      found.length,
      0,
      0,
      0,
      0,
    ]);
    const answers = found.map((data) =>
      Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, data.length, ...data]),
    );
    socket.send(Buffer.concat([head, question.subarray(12, typeAt + 4), ...answers]), port);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  cleanUps.push(() => socket.close());
  return { address: `127.0.0.1:${socket.address().port}`, asked };
}

function resolve(resolver: SystemResolver, name: string, isTrusted = false) {
  return new Promise<readonly string[]>((done) => {
    let isWithin = true;
    resolver.resolve(name, isTrusted, (addresses) => {
      expect(isWithin).toBe(false);
      done(addresses);
    });
    isWithin = false;
  });
}

/** An answer that must not come. */
const unreachable = (): void => expect.unreachable();

const V6 = [0x26, 0x06, ...Array.from({ length: 13 }, () => 0), 5];

describe('SystemResolver', () => {
  test('gives addresses of both families, IPv4 first', async () => {
    const { address, asked } = await serve({ [TYPE_A]: [[1, 2, 3, 4]], [TYPE_AAAA]: [V6] });
    const found = await resolve(new SystemResolver([address]), 'a.example');
    expect(found).toEqual(['1.2.3.4', '2606::5']);
    expect(asked.sort((a, b) => a - b)).toEqual([TYPE_A, TYPE_AAAA]);
  });

  test('one family is enough, none is none', async () => {
    const v6 = await serve({ [TYPE_AAAA]: [V6] });
    expect(await resolve(new SystemResolver([v6.address]), 'a.example')).toEqual(['2606::5']);
    const none = await serve({});
    expect(await resolve(new SystemResolver([none.address]), 'a.example')).toEqual([]);
  });

  test('gives a few of many', async () => {
    const many = Array.from({ length: 30 }, (_, at) => [1, 1, 1, at]);
    const { address } = await serve({ [TYPE_A]: many });
    expect(await resolve(new SystemResolver([address]), 'a.example')).toHaveLength(8);
  });

  test('asks nobody for localhost', async () => {
    const { address, asked } = await serve({ [TYPE_A]: [[1, 2, 3, 4]] });
    const resolver = new SystemResolver([address]);
    expect(await resolve(resolver, 'localhost')).toEqual(['127.0.0.1', '::1']);
    expect(await resolve(resolver, 'a.localhost')).toEqual(['127.0.0.1', '::1']);
    expect(asked).toEqual([]);
  });

  test('a question that is called off has no answer', async () => {
    const silent = await serve(undefined);
    const resolver = new SystemResolver([silent.address]);
    const call = resolver.resolve('a.example', false, unreachable);
    while (silent.asked.length < 2) await new Promise((done) => setImmediate(done));
    call();
    resolver.resolve('localhost', false, unreachable)();
    expect(await resolve(resolver, 'localhost')).toHaveLength(2);
  });

  test.each(['a..example', `${'a'.repeat(64)}.example`, `${'a.'.repeat(200)}example`, '*'])(
    'a name that is none has no address: %s',
    async (name) => {
      const { address } = await serve({});
      expect(await resolve(new SystemResolver([address]), name)).toEqual([]);
    },
  );

  test('names of the operator are looked up as the system does, in order', async () => {
    const resolver = new SystemResolver([]);
    const order: string[] = [];
    resolver.resolve('localhost', true, unreachable)();
    resolver.resolve('localhost', true, () => order.push('first'));
    resolver.resolve('localhost', true, unreachable)();
    expect(await resolve(resolver, 'localhost', true)).toContain('127.0.0.1');
    expect(order).toEqual(['first']);
  });
});
