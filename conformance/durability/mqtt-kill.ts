/**
 * The kill test for MQTT: QoS 1 and QoS 2 publishers, persistent subscribers and retained messages;
 * the server is killed with SIGKILL at a random moment and started again on the same data, many
 * times; at the end every exchange is finished and the ledger gives its verdict.
 *
 * With a URL instead of our server, a cycle cuts the connections and nothing is killed: that
 * checks the test itself against another broker.
 */
import { ServerProcess } from '../support/server-process.ts';
import { MqttLedger, type MqttVerdict } from './mqtt-ledger.ts';
import type { MqttLink } from './mqtt-link.ts';
import { Receiver, type ReceiverOptions } from './mqtt-receiver.ts';
import { Retainer } from './mqtt-retainer.ts';
import { Sender, type SenderOptions } from './mqtt-sender.ts';
import { Random } from '../support/random.ts';
import {
  CutBroker,
  KilledServer,
  type KillOptions,
  type KillReport,
  type Victim,
} from './victim.ts';

/** Killed so long after the first acknowledgement. */
const KILL_AFTER_MS = { min: 5, max: 500 };
const TRAFFIC_TIMEOUT_MS = 60_000;
/** In how many cycles a client cuts or takes over its own connection on the way. */
const FLAP_SHARE = 0.4;
/** Nothing arrives for so long in the drain: what is missing stays missing. */
const DRAIN_STUCK_MS = 45_000;

/** The clients of one run. */
class Cast {
  readonly senders: Sender[];
  readonly receivers: Receiver[];
  readonly retainer: Retainer;

  constructor(base: string, ledger: MqttLedger, random: Random) {
    const senders: SenderOptions[] = [
      {
        name: `${base}-p1`,
        version: 5,
        qos: 1,
        topic: `${base}/a/1`,
        window: 40,
        largeShare: 0.002,
      },
      {
        name: `${base}-p2`,
        version: 5,
        qos: 2,
        topic: `${base}/a/2`,
        window: 40,
        largeShare: 0.002,
      },
      { name: `${base}-p3`, version: 4, qos: 1, topic: `${base}/b/1`, window: 5, largeShare: 0.02 },
      {
        name: `${base}-p4`,
        version: 4,
        qos: 2,
        topic: `${base}/b/2`,
        window: 10,
        largeShare: 0.02,
      },
      { name: `${base}-p5`, version: 5, qos: 2, topic: `${base}/b/3`, window: 1, largeShare: 0 },
    ];
    this.senders = senders.map((one) => new Sender(one, ledger, random));
    const plain = { version: 5, qos: 2, receiveMaximum: 0, everyCycles: 1 } as const;
    const receivers: Omit<ReceiverOptions, 'audience'>[] = [
      { ...plain, clientId: `${base}-s1`, filter: `${base}/#` },
      { ...plain, clientId: `${base}-s2`, filter: `${base}/b/+`, receiveMaximum: 7 },
      { ...plain, clientId: `${base}-s3`, filter: `${base}/a/2`, everyCycles: 3 },
      { ...plain, clientId: `${base}-s4`, filter: `${base}/+/2`, version: 4 },
      { ...plain, clientId: `${base}-s5`, filter: `${base}/+/1`, qos: 1, everyCycles: 2 },
    ];
    this.receivers = receivers.map((one) => {
      const heard = senders.filter((sender) => matches(one.filter, sender.topic));
      const names = heard.map((sender) => sender.name);
      ledger.addAudience(one.clientId, one.qos, names, true);
      return new Receiver({ ...one, audience: one.clientId }, ledger, random);
    });
    const group = `${base}-group`;
    ledger.addAudience(group, 1, [`${base}-p1`, `${base}-p3`], false);
    for (const member of [1, 2]) {
      const filter = `$share/${base}/${base}/+/1`;
      const clientId = `${base}-g${member}`;
      const shared = { ...plain, clientId, audience: group, filter, qos: 1 } as const;
      this.receivers.push(new Receiver(shared, ledger, random));
    }
    this.retainer = new Retainer(`${base}-retained`, ledger, random);
  }

  get links(): MqttLink[] {
    return [...this.senders, ...this.receivers, this.retainer]
      .map((client) => client.link)
      .filter((link) => link !== undefined);
  }
}

/** Only what the filters above need. */
function matches(filter: string, topic: string): boolean {
  const pattern = filter.replace('/#', '/.*').replaceAll('+', '[^/]*');
  return new RegExp(`^${pattern}$`).test(topic);
}

/** Runs the whole test. Throws only when the server cannot be started. */
export async function runMqttKillTest(options: KillOptions): Promise<KillReport<MqttVerdict>> {
  const startedAtMs = performance.now();
  const errors: string[] = [];
  const ledger = new MqttLedger();
  const random = new Random(options.seed);
  const { url, dataDir } = options;
  const dataOptions = dataDir === undefined ? {} : { dataDir };
  const victim =
    url === undefined
      ? new KilledServer(
          await ServerProcess.start({ args: ['--mqtt-port', '0'], ...dataOptions }),
          (server) => `mqtt://guest:guest@127.0.0.1:${server.port('mqtt')}`,
        )
      : new CutBroker(url);
  const cast = new Cast(`k${process.pid}-${options.seed}`, ledger, random);
  try {
    // Every subscription is in place before the first message.
    for (const receiver of cast.receivers) await receiver.connect(victim.url);
    for (let cycle = 1; cycle <= options.cycles; cycle += 1) {
      ledger.cycle = cycle;
      const text = await runCycle(victim, cast, ledger, random, cycle, errors);
      options.onCycle?.(cycle, text);
      await victim.revive();
      await cast.retainer.check(victim.url);
    }
    await drain(victim, cast, ledger, errors);
  } finally {
    for (const link of cast.links) link.destroy();
    await victim.dispose();
  }
  for (const sender of cast.senders) errors.push(...sender.errors);
  return {
    verdict: ledger.verdict(),
    integrityFailures: victim.integrityFailures,
    errors,
    restartMaxMs: victim.restartMaxMs,
    seconds: (performance.now() - startedAtMs) / 1000,
  };
}

async function runCycle(
  victim: Victim,
  cast: Cast,
  ledger: MqttLedger,
  random: Random,
  cycle: number,
  errors: string[],
): Promise<string> {
  const attemptsBefore = ledger.attemptCount;
  let isCrashed = false;
  let noteTraffic = (): void => {};
  const traffic = new Promise<void>((resolve) => {
    noteTraffic = resolve;
  });
  const url = victim.url;
  const note = (error: unknown): void => {
    if (!isCrashed) errors.push(`cycle ${cycle}: ${String(error)}`);
  };
  for (const sender of cast.senders) sender.onConfirm = () => noteTraffic();
  const present = cast.receivers.filter((one) => cycle % one.options.everyCycles === 0);
  // Connecting may itself be under way when the server is killed.
  const connects = [
    ...present.map((receiver) => receiver.connect(url).catch(note)),
    ...cast.senders.map((sender) => sender.connect(url, true).catch(note)),
    cast.retainer.connect(url).catch(note),
  ];
  await Promise.race([traffic, pause(TRAFFIC_TIMEOUT_MS)]);
  const delayMs = random.between(KILL_AFTER_MS.min, KILL_AFTER_MS.max);
  const flap = random.chance(FLAP_SHARE) ? delayMs * random.next() : undefined;
  const flapped: Promise<void>[] = [];
  if (flap !== undefined) {
    setTimeout(() => {
      if (!isCrashed) flapped.push(flapOne(cast, present, random, url).catch(note));
    }, flap);
  }
  await pause(delayMs);
  isCrashed = true;
  for (const sender of cast.senders) sender.stop();
  // A connection that is still being opened ends by itself when the server is gone.
  const ends = cast.links.map((link) => ({
    destroy: () => link.destroy(),
    ended: () => link.ended,
  }));
  await victim.crash(ends, cycle);
  await Promise.all([...connects, ...flapped]);
  for (const link of cast.links) link.destroy();
  return `killed after ${delayMs} ms, ${ledger.attemptCount - attemptsBefore} published`;
}

/** One client loses its connection and comes back, or comes back without having lost it. */
async function flapOne(
  cast: Cast,
  present: readonly Receiver[],
  random: Random,
  url: string,
): Promise<void> {
  const clients = [...cast.senders, ...present];
  const client = clients[random.between(0, clients.length - 1)]!;
  if (random.chance(0.5)) client.link?.destroy();
  if (client instanceof Sender) {
    client.stop();
    await client.connect(url, true);
  } else {
    await client.connect(url);
  }
}

/** Finishes what is open and waits until all that was acknowledged has arrived. */
async function drain(
  victim: Victim,
  cast: Cast,
  ledger: MqttLedger,
  errors: string[],
): Promise<void> {
  ledger.cycle = 0;
  try {
    const url = victim.url;
    for (const receiver of cast.receivers) await receiver.connect(url);
    for (const sender of cast.senders) await sender.connect(url, false);
    let changedAtMs = performance.now();
    let before = -1;
    for (;;) {
      const open = cast.senders.reduce((total, sender) => total + sender.openCount, 0);
      const left = open + ledger.missing();
      const quietMs = performance.now() - changedAtMs;
      // Quiet for a moment after the last one too: a duplicate would come late.
      if (left === 0 && quietMs > 1_000) break;
      if (quietMs > DRAIN_STUCK_MS) {
        if (open > 0) errors.push(`drain: ${open} exchanges do not end`);
        break;
      }
      const seen = left * 1e9 + cast.receivers.reduce((newest, one) => newest + one.lastAtMs, 0);
      if (seen !== before) changedAtMs = performance.now();
      before = seen;
      await pause(50);
    }
    for (const link of cast.links) await link.close();
  } catch (error) {
    errors.push(`drain: ${String(error)}`);
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
