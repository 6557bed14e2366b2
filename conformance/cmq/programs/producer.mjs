// A producer that knows the name of a topic and nothing else. It publishes with confirms, one message
// each few ms, until its standard input ends; then it tells in one line of JSON what it has seen.
//   AMQP_URL  the gateway;  TOPIC, ROUTING_KEY  where to;  EVERY_MS  how often
import amqp from 'amqplib';

const { TOPIC: topic, ROUTING_KEY: key } = process.env;
const told = { sent: 0, confirmed: 0, refused: 0, returned: 0, errors: [], connections: 1 };
const failed = (error) => told.errors.push(error?.message ?? 'closed');

const connection = await amqp.connect(process.env.AMQP_URL);
connection.on('error', failed).on('close', failed).on('blocked', failed);
const channel = await connection.createConfirmChannel();
channel
  .on('error', failed)
  .on('close', failed)
  .on('return', () => (told.returned += 1));

function publish() {
  const body = Buffer.from(String(told.sent));
  told.sent += 1;
  channel.publish(topic, key, body, { persistent: true, mandatory: true }, (error) => {
    if (error === null) told.confirmed += 1;
    else told.refused += 1;
  });
}

const timer = setInterval(publish, Number(process.env.EVERY_MS));
process.stdin.resume();
await new Promise((resolve) => process.stdin.once('end', resolve));
clearInterval(timer);
await channel.waitForConfirms();
process.stdout.write(`${JSON.stringify(told)}\n`, () => process.exit(0));
