// A forwarder before the broker that can list and drop connections by name, over the two calls of the
// management interface that the Go client's recovery tests make: front.mjs HOST PORT [HTTP_PORT]
// Prints the port it listens on. A dropped connection is closed in order on both sides (code 320).
import { once } from 'node:events';
import { createServer } from 'node:http';
import net from 'node:net';

const [host, port, httpPort = '15672'] = process.argv.slice(2);
const connections = new Map();
let serial = 0;

function methodFrame(classId, methodId, payload) {
  const frame = Buffer.alloc(12 + payload.length);
  frame.writeUInt8(1, 0);
  frame.writeUInt32BE(4 + payload.length, 3);
  frame.writeUInt16BE(classId, 7);
  frame.writeUInt16BE(methodId, 9);
  payload.copy(frame, 11);
  frame.writeUInt8(0xce, 11 + payload.length);
  return frame;
}

function closeFrame(text) {
  const payload = Buffer.alloc(7 + text.length);
  payload.writeUInt16BE(320, 0);
  payload.writeUInt8(text.length, 2);
  payload.write(text, 3);
  return methodFrame(10, 50, payload);
}

const isMethod = (frame, classId, methodId) =>
  frame[0] === 1 && frame.readUInt16BE(7) === classId && frame.readUInt16BE(9) === methodId;

/** Cuts a stream into whole frames, after a first piece of `skip` bytes. */
function frames(skip, onFrame) {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (;;) {
      const size = skip > 0 ? skip : rest.length >= 7 ? 8 + rest.readUInt32BE(3) : Infinity;
      if (rest.length < size) return;
      onFrame(rest.subarray(0, size), skip > 0);
      skip = 0;
      rest = rest.subarray(size);
    }
  };
}

function nameOf(startOk) {
  const key = Buffer.from('connection_name');
  const at = startOk.indexOf(key);
  if (at < 0) return '';
  const length = startOk.readUInt32BE(at + key.length + 1);
  return startOk.toString('utf8', at + key.length + 5, at + key.length + 5 + length);
}

class Forwarded {
  constructor(client) {
    serial += 1;
    this.id = `127.0.0.1:${client.remotePort} -> ${host}:${port} (${serial})`;
    this.name = '';
    this.isDropped = false;
    this.client = client;
    this.broker = net.connect({ host, port: Number(port) });
    client.on('data', frames(8, (frame, isHeader) => this.fromClient(frame, isHeader)));
    this.broker.on('data', frames(0, (frame) => this.fromBroker(frame)));
    for (const [one, other] of [[client, this.broker], [this.broker, client]]) {
      one.setNoDelay(true);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        connections.delete(this.id);
        if (!this.isDropped) other.end();
      });
    }
    connections.set(this.id, this);
  }

  fromClient(frame, isHeader) {
    if (this.isDropped) {
      if (isMethod(frame, 10, 51)) this.client.end();
      return;
    }
    if (!isHeader && isMethod(frame, 10, 11)) this.name = nameOf(frame);
    this.broker.write(frame);
  }

  fromBroker(frame) {
    if (!this.isDropped) {
      this.client.write(frame);
    } else if (isMethod(frame, 10, 51)) {
      this.broker.end();
      this.client.write(closeFrame('CONNECTION_FORCED - Closed via management plugin'));
    }
  }

  drop() {
    this.isDropped = true;
    connections.delete(this.id);
    this.broker.write(closeFrame('dropped'));
  }
}

const management = createServer((request, response) => {
  const [, name] = /^\/api\/connections\/?(.*)$/.exec(request.url) ?? [];
  if (request.method === 'DELETE' && name) {
    connections.get(decodeURIComponent(name))?.drop();
    response.writeHead(204).end();
    return;
  }
  const list = [...connections.values()].map((one) => ({
    name: one.id, client_properties: { connection_name: one.name },
  }));
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(list));
});
management.listen(Number(httpPort), '127.0.0.1');
await once(management, 'listening');
const front = net.createServer((client) => new Forwarded(client)).listen(0, '127.0.0.1');
await once(front, 'listening');
console.log(front.address().port);
