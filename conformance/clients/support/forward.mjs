// Forwards localhost:5672 to the broker, for programs that have their address built in: forward.mjs HOST PORT
import { once } from 'node:events';
import net from 'node:net';

const [host, port] = process.argv.slice(2);
for (const address of ['127.0.0.1', '::1']) {
  const server = net.createServer((client) => {
    const broker = net.connect({ host, port: Number(port) });
    client.on('error', () => broker.destroy());
    broker.on('error', () => client.destroy());
    client.pipe(broker).pipe(client);
  });
  server.listen(5672, address);
  await once(server, 'listening').catch((error) => {
    if (address === '127.0.0.1') throw error;
  });
}
console.log('ready');
