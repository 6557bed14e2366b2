// Master and workers: a master in JavaScript (amqplib) puts numbers into a queue; workers in Python
// (the CMQ SDK), JavaScript (qcloudapi-sdk) and C (amqp-consume of librabbitmq) square them. They are
// killed at random and started anew; the master restarts its connection. Every number has its square.
//   CMQ_FULL=1   10,000 tasks, as the reference asks;  CMQ_TASKS   any other number
import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import amqp from 'amqplib';
import { check, eventually, finish, load, secretId, secretKey, gateway, truth, unique } from '../js/common.mjs';

const isFull = process.env.CMQ_FULL === '1';
const taskCount = Number(process.env.CMQ_TASKS ?? (isFull ? 10_000 : 600));
const workerCount = 8;
const killCount = isFull ? 24 : 8;
// Upper bound of each wait; the workers decide how soon it is over.
const patienceMs = 60_000 + taskCount * 50;
const tasks = unique('tasks');
const results = unique('results');
const amqpUrl = process.env.AMQP_URL;
const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const QcloudApi = load('qcloudapi-sdk');
const capi = new QcloudApi({ SecretId: secretId, SecretKey: secretKey, Region: 'gz' });
const call = (Action, parameters) =>
  new Promise((resolve, reject) => {
    const place = { host: gateway.host, protocol: 'http' };
    capi.request({ Action, ...parameters }, place, (error, body) => (error ? reject(error) : resolve(body)));
  });

const commands = {
  python: [process.env.CMQ_PYTHON, ['-W', 'ignore', here('worker.py')]],
  javascript: [process.execPath, ['--no-deprecation', here('worker.mjs')]],
};
if (spawnSync('amqp-consume', ['--version']).error === undefined) {
  commands.c = ['amqp-consume', ['-u', amqpUrl, '-q', tasks, '-p', '4', 'bash', here('worker.sh')]];
}
const kinds = Object.keys(commands);
const squares = new Map();
const by = new Map();
let resultCount = 0;

function start(kind) {
  const [command, args] = commands[kind];
  const env = { ...process.env, TASKS: tasks, RESULTS: results, AMQP_URL: amqpUrl };
  return spawn(command, args, { stdio: 'ignore', env });
}

/** The master's part: hands out a range, and collects what there is. */
async function master(from, to) {
  const connection = await amqp.connect(amqpUrl);
  const channel = await connection.createConfirmChannel();
  for (let number = from; number < to; number += 1) {
    channel.sendToQueue(tasks, Buffer.from(String(number)), { persistent: true });
  }
  await channel.waitForConfirms();
  await channel.consume(results, (message) => {
    const [number, square, worker] = message.content.toString().trim().split(' ');
    resultCount += 1;
    squares.set(Number(number), Number(square));
    by.set(worker, (by.get(worker) ?? 0) + 1);
    channel.ack(message);
  });
  return connection;
}

/** All of it; not within a check, whose time is short. */
async function work() {
  for (const queueName of [tasks, results]) {
    const { code, message } = await call('CreateQueue', { queueName, visibilityTimeout: 2 });
    truth(code === 0, `a queue: ${message}`);
  }
  const team = Array.from({ length: workerCount }, (_, at) => kinds[at % kinds.length]).map((kind) => ({
    ...{ kind, child: start(kind) },
  }));
  try {
    const first = await master(0, taskCount / 2);
    await eventually(() => squares.size > 20, 'work has begun', patienceMs);
    await first.close();
    const second = await master(taskCount / 2, taskCount);
    for (let kill = 1; kill <= killCount; kill += 1) {
      // Spread over the work, however fast it goes.
      const part = (taskCount * kill) / (killCount + 2);
      await eventually(() => squares.size >= part, `the work goes on, have ${squares.size}`, patienceMs);
      const one = team[Math.floor(Math.random() * team.length)];
      one.child.kill('SIGKILL');
      one.child = start(one.kind);
    }
    await eventually(() => squares.size === taskCount, 'all results', patienceMs);
    await second.close();
  } finally {
    for (const { child } of team) child.kill('SIGKILL');
  }
  console.log(`# S5: ${taskCount} tasks, lost ${taskCount - squares.size}, done again ${resultCount - squares.size}`);
  for (const [number, square] of squares) truth(square === number * number, `${number} squared`);
}

const failure = await work().then(() => undefined, (error) => error);
const name = `${taskCount} tasks, ${workerCount} workers in ${kinds.join(', ')}, ${killCount} killed at random`;
await check(name, () => {
  if (failure !== undefined) throw failure;
});
for (const kind of kinds) {
  await check(`${kind} did its part`, () => truth((by.get(kind) ?? 0) > 0, JSON.stringify([...by])));
}
finish();
