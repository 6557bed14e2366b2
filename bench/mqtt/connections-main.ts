/**
 * `node dist/bench/mqtt/connections-main.js [--url mqtt://...] [--count 10000] [--keep-alive 60]
 * [--subscribe] [--idle 20] [--at-once 100]`: idle connections, ours without a URL.
 */
import { parseArgs } from 'node:util';
import { identify, startOurs } from './broker.ts';
import { DEFAULT_CONNECTIONS, runConnections } from './connections.ts';

const { values } = parseArgs({
  options: {
    url: { type: 'string' },
    count: { type: 'string' },
    'keep-alive': { type: 'string' },
    subscribe: { type: 'boolean' },
    idle: { type: 'string' },
    'at-once': { type: 'string' },
  },
});
const ours = values.url === undefined ? await startOurs() : undefined;
const url = ours?.url ?? values.url!;
try {
  const peer = await identify(url);
  const result = await runConnections({
    url,
    serverPid: ours?.gateway.pid ?? peer.pid,
    count: Number(values.count ?? DEFAULT_CONNECTIONS.count),
    keepAliveSeconds: Number(values['keep-alive'] ?? DEFAULT_CONNECTIONS.keepAliveSeconds),
    subscribes: values.subscribe === true,
    idleSeconds: Number(values.idle ?? DEFAULT_CONNECTIONS.idleSeconds),
    atOnce: Number(values['at-once'] ?? DEFAULT_CONNECTIONS.atOnce),
  });
  console.log(
    `${peer.name}: accepted ${result.acceptedPerSecond.toFixed(0)}/s, ` +
      `${result.bytesEach.toFixed(0)} bytes each, ` +
      `idle ${(result.idleCores * 100).toFixed(1)} % of a core, lost ${result.lost}`,
  );
} finally {
  await ours?.close();
}
