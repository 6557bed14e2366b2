/**
 * S5: a master puts tasks into a queue and takes results from another. Workers come over AMQP and
 * over HTTP, are processes of their own, and are killed at random; the master restarts on the way.
 * Nobody watches anybody: every task gets its result.
 */
import type { ChildProcess } from 'node:child_process';
import amqp, { type ChannelModel } from 'amqplib';
import { afterAll, expect, test } from 'vitest';
import { cmqUrl, eventually, KEYS, pause, unique, useCmq } from '../../support/cmq-test.ts';
import { startProgram } from '../../support/site-process.ts';

const TASKS = Number(process.env['CMQ_TASKS'] ?? 1_000);
const WORKERS = 6;
const KILLS = 6;

const { client, server } = useCmq();
const workers = new Set<ChildProcess>();

afterAll(() => {
  for (const worker of workers) worker.kill('SIGKILL');
});

/** The master: hands out tasks until it is stopped, and collects results. */
class Master {
  readonly #connection: ChannelModel;

  private constructor(connection: ChannelModel) {
    this.#connection = connection;
  }

  static async start(): Promise<Master> {
    return new Master(await amqp.connect(server().url));
  }

  async handOut(tasks: string, from: number, to: number): Promise<void> {
    const channel = await this.#connection.createConfirmChannel();
    for (let id = from; id < to; id += 1) {
      const body = Buffer.from(JSON.stringify({ id, number: id }));
      channel.sendToQueue(tasks, body, { persistent: true, correlationId: String(id) });
    }
    await channel.waitForConfirms();
    await channel.close();
  }

  async collect(results: string, found: Map<number, number>): Promise<void> {
    const channel = await this.#connection.createChannel();
    await channel.prefetch(100);
    await channel.consume(results, (message) => {
      if (message === null) return;
      const { id, square } = JSON.parse(message.content.toString()) as {
        id: number;
        square: number;
      };
      found.set(id, square);
      channel.ack(message);
    });
  }

  async stop(): Promise<void> {
    await this.#connection.close();
  }
}

function startWorker(at: number, tasks: string, results: string): ChildProcess {
  const protocol = at % 2 === 0 ? 'amqp' : 'cmq';
  const worker = startProgram('worker.mjs', {
    ...{ PROTOCOL: protocol, NAME: `${protocol}-${at}`, TASKS: tasks, RESULTS: results },
    ...{ AMQP_URL: server().url, CMQ_URL: cmqUrl(server()) },
    ...{ CMQ_ID: KEYS.guest.id, CMQ_SECRET: KEYS.guest.secret },
  });
  worker.stdout?.resume();
  workers.add(worker);
  worker.once('exit', () => workers.delete(worker));
  return worker;
}

test('every task has its result though workers are killed and the master restarts', async () => {
  const cmq = client();
  const [tasks, results] = [unique('tasks'), unique('results')];
  await cmq.ok('CreateQueue', { queueName: tasks, visibilityTimeout: 2 });
  await cmq.ok('CreateQueue', { queueName: results });
  const found = new Map<number, number>();

  // The master is there before any worker is, and gone before they are done.
  const first = await Master.start();
  await first.handOut(tasks, 0, TASKS / 2);
  await first.stop();
  expect((await cmq.counters(tasks)).active).toBe(TASKS / 2);
  const team = Array.from({ length: WORKERS }, (_, at) => startWorker(at, tasks, results));
  await eventually(async () => (await cmq.counters(results)).active > 20, 'work has begun');

  const master = await Master.start();
  await master.collect(results, found);
  const handedOut = master.handOut(tasks, TASKS / 2, TASKS);
  for (let kill = 0; kill < KILLS; kill += 1) {
    const at = Math.floor(Math.random() * WORKERS);
    team[at]!.kill('SIGKILL');
    team[at] = startWorker(at, tasks, results);
    await pause(150);
  }
  await handedOut;
  await eventually(async () => found.size === TASKS, 'all results', 30_000);
  for (const [id, square] of found) expect(square).toBe(id * id);
  await eventually(
    async () => {
      const { active, inactive } = await cmq.counters(tasks);
      return active === 0 && inactive === 0;
    },
    'no task is left',
    10_000,
  );
  await master.stop();
}, 60_000);

test('a reply queue of the request: direct reply-to beside a CMQ queue', async () => {
  const cmq = client();
  const queueName = unique('rpc');
  await cmq.ok('CreateQueue', { queueName });
  const connection = await amqp.connect(server().url);
  const channel = await connection.createChannel();
  const answered = new Promise<string>((resolve) => {
    const take = (message: amqp.ConsumeMessage | null): void => {
      if (message?.properties.correlationId === '7') resolve(message.content.toString());
    };
    void channel.consume('amq.rabbitmq.reply-to', take, { noAck: true }).then(() => {
      channel.sendToQueue(queueName, Buffer.from('question'), {
        replyTo: 'amq.rabbitmq.reply-to',
        correlationId: '7',
      });
    });
  });
  const worker = await connection.createChannel();
  await worker.consume(queueName, (message) => {
    if (message === null) return;
    const { replyTo, correlationId } = message.properties;
    worker.sendToQueue(String(replyTo), Buffer.from('answer'), { correlationId });
    worker.ack(message);
  });
  expect(await answered).toBe('answer');
  await connection.close();
});
