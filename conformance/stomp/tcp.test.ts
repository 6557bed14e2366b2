/** STOMP over TCP, byte by byte where it matters. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { ServerProcess } from '../support/server-process.ts';
import { Wires } from './wire.ts';

let server: ServerProcess;
const wires = new Wires(() => server);

beforeAll(async () => {
  server = await ServerProcess.start({ args: ['--stomp-port', '0'] });
});

afterEach(() => wires.destroyAll());

afterAll(async () => {
  const exit = await server.stop();
  expect(exit.code).toBe(0);
  expect(server.errors).toEqual([]);
  await server.dispose();
});

test.each([
  ['1.0', '1.0'],
  ['1.1', '1.1'],
  ['1.0,1.1,1.2', '1.2'],
  ['1.2,3.0', '1.2'],
])('accept-version %s is answered with %s', async (offer, version) => {
  const wire = await wires.open();
  wire.socket.write(`STOMP\naccept-version:${offer}\nlogin:guest\npasscode:guest\n\n\0`);
  await wire.until(new RegExp(`version:${version}\n`));
});

test('frames cut into single bytes, with CR LF, are the same', async () => {
  const wire = await wires.login();
  const frames =
    'SUBSCRIBE\r\nid:0\r\ndestination:/queue/cut\r\n\r\n\0\r\n' +
    'SEND\r\ndestination:/queue/cut\r\ncontent-length:3\r\n\r\na\0b\0\n';
  for (const byte of Buffer.from(frames)) {
    wire.socket.write(Buffer.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await wire.until(/^MESSAGE\n[^]*\n\na\0b\0$/);
});

test('ten thousand messages in order', async () => {
  const wire = await wires.login();
  wire.socket.write('SUBSCRIBE\nid:0\ndestination:/queue/many\nack:client\n\n\0');
  for (let index = 0; index < 10_000; index += 1) {
    wire.socket.write(`SEND\ndestination:/queue/many\n\n#${index};\0`);
  }
  await wire.until(/#9999;/);
  const bodies = [...wire.text.matchAll(/#(\d+);/g)].map(([, index]) => Number(index));
  expect(bodies).toEqual(Array.from({ length: 10_000 }, (_, index) => index));
  const last = wire.text.slice(wire.text.lastIndexOf('\nack:') + 5).split('\n', 1)[0];
  wire.text = '';
  wire.socket.write(`ACK\nid:${last}\nreceipt:all\n\n\0`);
  await wire.until(/RECEIPT\nreceipt-id:all\n/);
});

test('DISCONNECT is answered and followed by the end', async () => {
  const wire = await wires.login();
  wire.socket.write('SEND\ndestination:/queue/bye\npersistent:true\nreceipt:1\n\nx\0');
  wire.socket.write('DISCONNECT\nreceipt:2\n\n\0');
  await wire.untilClosed();
  expect(wire.text).toBe('RECEIPT\nreceipt-id:1\n\n\0RECEIPT\nreceipt-id:2\n\n\0');
});

test.each([
  ['another protocol', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n\0', /ERROR/],
  ['AMQP', 'AMQP\0\0\x09\x01', /ERROR/],
  ['endless headers', `CONNECT\nlogin:${'x'.repeat(20_000)}`, /ERROR\nmessage:Frame too large/],
  ['a body before the login', 'CONNECT\ncontent-length:99999\n\n', /Frame too large/],
])('%s is refused with ERROR', async (_what, text, answer) => {
  const wire = await wires.open();
  wire.socket.write(Buffer.from(text, 'latin1'));
  await wire.untilClosed();
  expect(wire.text).toMatch(answer);
});

test('a body above the limit is refused before it is sent', async () => {
  const wire = await wires.login();
  wire.socket.write('SEND\ndestination:/queue/a\ncontent-length:99999999999\n\n');
  await wire.until(/ERROR\nmessage:Frame too large/);
  await wire.untilClosed();
});

test('missed heart-beats end the connection', async () => {
  const wire = await wires.open();
  wire.socket.write(
    'CONNECT\naccept-version:1.2\nlogin:guest\npasscode:guest\nheart-beat:1000,0\n\n\0',
  );
  await wire.until(/heart-beat:0,1000\n/);
  await wire.untilClosed();
});
