/**
 * S5: a master puts tasks into a queue and takes results from another. Workers come over AMQP and
 * over HTTP, are processes of their own, and are killed at random; the master restarts on the way.
 * Nobody watches anybody: every task gets its result. Workers in three languages: `clients/cmq`.
 */
import type { ChildProcess } from 'node:child_process';
import amqp, { type ChannelModel } from 'amqplib';
import { afterAll, expect, test } from 'vitest';
import { cmqUrl, eventually, KEYS, unique, useCmq } from '../../support/cmq-test.ts';
import { startProgram } from '../../support/site-process.ts';
import { TASKS, tell, WORKER_KILLS } from './sizes.ts';

const WORKERS = 8;
/** Upper bound of each wait; how fast the machine is decides how soon it is over. */
const PATIENCE_MS = 60_000 + TASKS * 30;

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

  /** A task names the queue of its result and is told from others by its correlation id. */
  async handOut(tasks: string, replyTo: string, from: number, to: number): Promise<void> {
    const channel = await this.#connection.createConfirmChannel();
    for (let id = from; id < to; id += 1) {
      const body = Buffer.from(JSON.stringify({ id, number: id }));
      const options = { persistent: true, replyTo, correlationId: String(id) };
      channel.sendToQueue(tasks, body, options);
    }
    await channel.waitForConfirms();
    await channel.close();
  }

  /** Results by task, and how many there were in all; an answer over AMQP carries the task's id. */
  async collect(results: string, found: Map<number, number>, count: () => void): Promise<void> {
    const channel = await this.#connection.createChannel();
    await channel.prefetch(100);
    await channel.consume(results, (message) => {
      if (message === null) return;
      const { id, square } = JSON.parse(message.content.toString()) as {
        id: number;
        square: number;
      };
      const { correlationId } = message.properties as { correlationId?: string };
      expect(correlationId ?? String(id)).toBe(String(id));
      found.set(id, square);
      count();
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

test(
  'every task has its result though workers are killed and the master restarts',
  async () => {
    const cmq = client();
    const [tasks, results] = [unique('tasks'), unique('results')];
    await cmq.ok('CreateQueue', { queueName: tasks, visibilityTimeout: 2 });
    await cmq.ok('CreateQueue', { queueName: results });
    const found = new Map<number, number>();
    let resultCount = 0;
    const count = (): void => {
      resultCount += 1;
    };

    // The master is there before any worker is, and gone before they are done.
    const first = await Master.start();
    await first.handOut(tasks, results, 0, TASKS / 2);
    await first.stop();
    expect((await cmq.counters(tasks)).active).toBe(TASKS / 2);
    const team = Array.from({ length: WORKERS }, (_, at) => startWorker(at, tasks, results));
    await eventually(
      async () => (await cmq.counters(results)).active > 20,
      'work has begun',
      PATIENCE_MS,
    );

    const master = await Master.start();
    await master.collect(results, found, count);
    const handedOut = master.handOut(tasks, results, TASKS / 2, TASKS);
    for (let kill = 1; kill <= WORKER_KILLS; kill += 1) {
      // Spread over the work, however fast it goes.
      const part = (TASKS * kill) / (WORKER_KILLS + 2);
      await eventually(async () => found.size >= part, 'the work goes on', PATIENCE_MS);
      const at = Math.floor(Math.random() * WORKERS);
      team[at]!.kill('SIGKILL');
      team[at] = startWorker(at, tasks, results);
    }
    await handedOut;
    await eventually(async () => found.size === TASKS, 'all results', PATIENCE_MS);
    for (const [id, square] of found) expect(square).toBe(id * id);
    await eventually(
      async () => {
        const { active, inactive } = await cmq.counters(tasks);
        return active === 0 && inactive === 0;
      },
      'no task is left',
      PATIENCE_MS,
    );
    tell('S5', {
      tasks: TASKS,
      workers: WORKERS,
      killed: WORKER_KILLS,
      lost: TASKS - found.size,
      'results more than once': resultCount - found.size,
    });
    await master.stop();
  },
  3 * PATIENCE_MS,
);

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
