/**
 * `node dist/bench/cmq/speed-cpu.js [--connections 64] [--sizes 64,1024] [--rounds 3]`: CPU time of
 * the gateway per request, by action, over keep-alive HTTP. Unlike what `speed.ts` times it is
 * hardly touched by what else the machine does. The first line is the floor: a bare `node:http`
 * server that answers the same requests with a fixed body.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { KEY, startCmq } from './broker.ts';
import { type CmqLink, deleteAll, openLinks, type Received } from './cmq-link.ts';

const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '64' },
    sizes: { type: 'string', default: '64,1024' },
    rounds: { type: 'string', default: '3' },
    /** Written by the gateway when it stops. */
    profile: { type: 'string' },
  },
});

const CONNECTIONS = Number(values.connections);
const QUEUE = 'bench';
const BATCH = 16;
/** Requests of one connection in each phase. */
const SINGLES = 100;
const BATCHES = 12;
/** Rounds that are not counted: code gets hot in them. */
const WARMUP_ROUNDS = 2;

/** CPU time of a process: all of it, and its main thread's, in ns. */
interface CpuTime {
  readonly all: number;
  readonly main: number;
}

/** What the scheduler gave to each thread so far (proc(5): the first figure of schedstat, in ns). */
function cpuTime(pid: number): CpuTime {
  let all = 0;
  let main = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1');
    const ns = Number(stat.split(' ', 1)[0]);
    all += ns;
    if (thread === String(pid)) main = ns;
  }
  return { all, main };
}

/** What one connection does in a phase: `count` requests, one after the other. */
type Phase = (link: CmqLink, count: number) => Promise<void>;

/** Runs one phase on all connections. */
async function run(links: readonly CmqLink[], phase: Phase, count: number): Promise<void> {
  await Promise.all(links.map((link) => phase(link, count)));
}

/** Each phase in turn, round by round; prints what a request of each took. */
async function measure(
  title: string,
  pid: number,
  links: readonly CmqLink[],
  phases: ReadonlyMap<string, Phase>,
  count: number,
): Promise<void> {
  const sums = new Map([...phases.keys()].map((name) => [name, { all: 0, main: 0 }]));
  const rounds = Number(values.rounds);
  for (let round = 0; round < rounds + WARMUP_ROUNDS; round += 1) {
    for (const [name, phase] of phases) {
      const before = cpuTime(pid);
      await run(links, phase, count);
      const after = cpuTime(pid);
      if (round < WARMUP_ROUNDS) continue;
      const sum = sums.get(name)!;
      sum.all += after.all - before.all;
      sum.main += after.main - before.main;
    }
  }
  const runs = rounds * links.length * count;
  for (const [name, sum] of sums) print(`${title} ${name}`, sum.all / runs, sum.main / runs);
}

function print(title: string, allNs: number, mainNs: number): void {
  const all = (allNs / 1_000).toFixed(1);
  const main = (mainNs / 1_000).toFixed(1);
  console.log(`${title}: ${all} us (main thread ${main})`);
}

type Step = (link: CmqLink) => Promise<void>;

/** Send, receive and delete of one message of `size` bytes. */
function singleSteps(size: number, held: Held): [string, Step][] {
  const queueName = ['queueName', QUEUE] as const;
  const msgBody = ['msgBody', 'm'.repeat(size)] as const;
  return [
    ['SendMessage', async (link) => void (await link.ok('SendMessage', [queueName, msgBody]))],
    [
      'ReceiveMessage',
      async (link) => held.put(link, [await link.ok('ReceiveMessage', [queueName])]),
    ],
    [
      'DeleteMessage',
      async (link) => {
        const [message] = held.take(link);
        await link.ok('DeleteMessage', [queueName, ['receiptHandle', message!.receiptHandle]]);
      },
    ],
  ];
}

/** The same of BATCH messages. */
function batchSteps(size: number, held: Held): [string, Step][] {
  const queueName = ['queueName', QUEUE] as const;
  const body = 'm'.repeat(size);
  const bodies = Array.from({ length: BATCH }, (_, n) => [`msgBody.${n}`, body] as const);
  const numOfMsg = ['numOfMsg', String(BATCH)] as const;
  return [
    [
      'BatchSendMessage',
      async (link) => void (await link.ok('BatchSendMessage', [queueName, ...bodies])),
    ],
    [
      'BatchReceiveMessage',
      async (link) => {
        const { msgInfoList = [] } = await link.ok('BatchReceiveMessage', [queueName, numOfMsg]);
        held.put(link, msgInfoList);
      },
    ],
    ['BatchDeleteMessage', (link) => deleteAll(link, QUEUE, held.take(link))],
  ];
}

/** What each connection received and has not deleted. */
class Held {
  readonly #lists = new Map<CmqLink, (readonly Received[])[]>();

  put(link: CmqLink, messages: readonly Received[]): void {
    const lists = this.#lists.get(link);
    if (lists === undefined) this.#lists.set(link, [messages]);
    else lists.push(messages);
  }

  take(link: CmqLink): readonly Received[] {
    return this.#lists.get(link)!.pop()!;
  }
}

/** A step, `count` times in a row. */
function repeated([name, step]: [string, Step]): Map<string, Phase> {
  const phase: Phase = async (link, count) => {
    for (let done = 0; done < count; done += 1) await step(link);
  };
  return new Map([[name, phase]]);
}

/** Each step for itself, and then all of them in turn. */
function phasesOf(steps: readonly [string, Step][]): Map<string, Phase> {
  const phases = new Map(steps.flatMap((step) => [...repeated(step)]));
  phases.set('cycle', async (link, count) => {
    for (let done = 0; done < count; done += 1) {
      for (const [, step] of steps) await step(link);
    }
  });
  return phases;
}

/** Answers like the gateway, without reading what was asked. */
const FLOOR = `
  const body = '{"code":0,"message":"","requestId":"1234567890123456789","msgId":"1234567890"}';
  const server = require('node:http').createServer({ noDelay: true }, (request, response) => {
    request.on('data', () => {});
    request.on('end', () => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
      response.end(body);
    });
  });
  server.listen(0, '127.0.0.1', () => process.send(server.address().port));
`;

async function measureFloor(size: number): Promise<void> {
  const child: ChildProcess = spawn(process.execPath, ['-e', FLOOR], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  try {
    const [port] = (await once(child, 'message')) as [number];
    const links = await openLinks(port, KEY, CONNECTIONS);
    const title = `node:http, ${size} B,`;
    const [send] = singleSteps(size, new Held());
    await measure(title, child.pid!, links, repeated(send!), SINGLES);
    const [sendBatch] = batchSteps(size, new Held());
    await measure(title, child.pid!, links, repeated(sendBatch!), BATCHES);
    for (const link of links) link.close();
  } finally {
    child.kill();
  }
}

async function measureGateway(size: number): Promise<void> {
  const nodeFlags =
    values.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${values.profile}`];
  const { gateway, port } = await startCmq({ nodeFlags });
  try {
    const links = await openLinks(port, KEY, CONNECTIONS);
    await links[0]!.ok('CreateQueue', [['queueName', QUEUE]]);
    await measure(
      `${size} B`,
      gateway.pid,
      links,
      phasesOf(singleSteps(size, new Held())),
      SINGLES,
    );
    await measure(`${size} B`, gateway.pid, links, phasesOf(batchSteps(size, new Held())), BATCHES);
    for (const link of links) link.close();
  } finally {
    await gateway.stop();
    gateway.remove();
  }
}

for (const size of values.sizes.split(',').map(Number)) {
  await measureFloor(size);
  await measureGateway(size);
}
