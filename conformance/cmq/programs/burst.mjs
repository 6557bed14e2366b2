// A producer that publishes a number of messages of 1 KB evenly over some seconds, with confirms. One
// burst for each line `QUEUE COUNT SECONDS` on its standard input; then it tells in one line of JSON
// how many were refused, how long the burst took until the last confirm, and the 99th percentile of
// the time from publishing to the confirm, both in ms.
//   AMQP_URL  the gateway
import readline from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import amqp from 'amqplib';

const BODY = Buffer.alloc(1_024, 'x');

const connection = await amqp.connect(process.env.AMQP_URL);
const channel = await connection.createConfirmChannel();

async function burst(queue, count, seconds) {
  const latencies = new Float64Array(count);
  let refused = 0;
  const started = performance.now();
  for (let at = 0; at < count; ) {
    const due = Math.ceil(((performance.now() - started) / (1_000 * seconds)) * count);
    for (; at < Math.min(due, count); at += 1) {
      const index = at;
      const sentAt = performance.now();
      channel.sendToQueue(queue, BODY, { persistent: true }, (error) => {
        latencies[index] = performance.now() - sentAt;
        if (error !== null) refused += 1;
      });
    }
    await pause(2);
  }
  await channel.waitForConfirms();
  const tookMs = performance.now() - started;
  return { refused, tookMs, p99Ms: latencies.toSorted()[Math.floor(count * 0.99)] };
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const [queue, count, seconds] = line.split(' ');
  process.stdout.write(`${JSON.stringify(await burst(queue, Number(count), Number(seconds)))}\n`);
}
process.exit(0);
