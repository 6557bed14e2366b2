// Takes one message, says so in a line, and holds on to it until it is killed or stopped.
//   PROTOCOL  `amqp` or `cmq`;  QUEUE;  AMQP_URL or CMQ_*  the gateway
import amqp from 'amqplib';
import { cmq } from './cmq-call.mjs';

const { PROTOCOL, QUEUE: queue } = process.env;
const said = (body) => process.stdout.write(`holds ${body}\n`);

if (PROTOCOL === 'amqp') {
  const connection = await amqp.connect(process.env.AMQP_URL);
  const channel = await connection.createChannel();
  await channel.prefetch(1);
  await channel.consume(queue, (message) => said(message.content.toString()));
} else {
  const { msgBody } = await cmq('ReceiveMessage', { queueName: queue, pollingWaitSeconds: 30 });
  said(msgBody);
  setInterval(() => {}, 60_000);
}
