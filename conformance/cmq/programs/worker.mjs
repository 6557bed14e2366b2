// A worker that shares a queue of tasks with others and may be killed at any moment. Each task is
// `{"id", "number"}`; its result, the square, goes to the queue of results before the task is done.
//   PROTOCOL  `amqp` or `cmq`
//   TASKS  the queue of tasks;  RESULTS  that of results, unless a task names its own (reply-to)
//   AMQP_URL or CMQ_*  the gateway
import amqp from 'amqplib';
import { cmq } from './cmq-call.mjs';

const { PROTOCOL, TASKS: tasks, RESULTS: results, NAME: name } = process.env;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function solve(text) {
  const { id, number } = JSON.parse(text);
  return JSON.stringify({ id, square: number * number, by: name });
}

async function overAmqp() {
  const connection = await amqp.connect(process.env.AMQP_URL);
  const channel = await connection.createConfirmChannel();
  await channel.prefetch(10);
  await channel.consume(tasks, (message) => {
    const result = Buffer.from(solve(message.content.toString()));
    const { correlationId, replyTo = results } = message.properties;
    channel.sendToQueue(replyTo, result, { persistent: true, correlationId }, (error) => {
      if (error === null) channel.ack(message);
      else channel.nack(message);
    });
  });
}

async function overCmq() {
  for (;;) {
    const batch = { queueName: tasks, numOfMsg: 10, pollingWaitSeconds: 5 };
    const { code, msgInfoList } = await cmq('BatchReceiveMessage', batch);
    if (code === 7000) continue;
    if (code !== 0) await pause(50);
    else {
      const msgBody = msgInfoList.map((message) => solve(message.msgBody));
      const sent = await cmq('BatchSendMessage', { queueName: results, msgBody });
      if (sent.code !== 0) continue;
      const receiptHandle = msgInfoList.map((message) => message.receiptHandle);
      await cmq('BatchDeleteMessage', { queueName: tasks, receiptHandle });
    }
  }
}

await (PROTOCOL === 'amqp' ? overAmqp() : overCmq());
