/**
 * Random operations on a CMQ queue of a real broker, step by step against the reference model
 * (cmq-model.ts), under a virtual clock and with crashes, on either store.
 *
 * After every step the counters, the order of the ready messages, the state, times and counts of
 * every message, the answers to receives and the contents of the dead-letter queue must equal the
 * model's.
 *
 * Time stops at every instant at which something ends, unless the process is down then. Instants
 * of different kinds never coincide: operations happen at multiples of 8 ms, and each kind of
 * deadline has a remainder of its own. What the order within one millisecond is, nobody promises.
 */
import type { RedriveState } from '../../src/engine/cmq/redrive.ts';
import { FakeClock } from '../support/fake-clock.ts';
import type { SeededRandom } from '../support/seeded-random.ts';
import { CmqClients } from './cmq-clients.ts';
import { compare, compareCounters } from './cmq-comparison.ts';
import type { CmqDisk } from './cmq-disk.ts';
import { type MessageShape, messageOf, WANTED_TAG } from './cmq-message.ts';
import { CmqModel, type ModelSettings } from './cmq-model.ts';
import { CmqNotes, START_MS } from './cmq-notes.ts';
import { CmqProcess, type QueueName } from './cmq-process.ts';

/** Advances after which a redrive that goes on is broken; each moves a page at least. */
const REDRIVE_ADVANCES_MAX = 1_000;

export class CmqSimulation {
  readonly #random: SeededRandom;
  readonly #disk: CmqDisk;
  readonly #lookEvery: number;
  readonly #clock = new FakeClock(START_MS);
  readonly #notes = new CmqNotes(this.#clock);
  readonly #priorityMax: number;
  /** Of the queue, and of its dead-letter queue. */
  readonly #main: CmqClients;
  readonly #dead: CmqClients;
  #process!: CmqProcess;
  #bodyCount = 0;
  /** Ids of messages that a redrive has moved since the last rest. */
  #moved: string[] = [];
  /** Messages that were in each state at the end of some step. */
  readonly seen = { ready: 0, leased: 0, delayed: 0, rewindable: 0, dead: 0, crashes: 0 };

  /** @param lookEvery looks at every message after one step in so many */
  constructor(random: SeededRandom, disk: CmqDisk, lookEvery: number) {
    this.#random = random;
    this.#disk = disk;
    this.#lookEvery = lookEvery;
    this.#priorityMax = random.below(4) === 0 ? 3 : 0;
    const dead = new CmqModel(this.#randomSettings('dead'), START_MS, 0, () => {});
    const main = new CmqModel(this.#randomSettings('q'), START_MS, this.#priorityMax, (death) => {
      dead.bury(death);
      this.#dead.came(death.originId);
    });
    this.#main = new CmqClients('q', main, random, this.#notes);
    this.#dead = new CmqClients('dead', dead, random, this.#notes);
  }

  /** What was done, for whoever reads a failure. */
  get log(): readonly string[] {
    return this.#notes.log;
  }

  async run(steps: number): Promise<void> {
    await this.#start();
    for (let step = 0; step < steps; step += 1) {
      await this.#step();
      await this.#compare();
    }
    this.#process.abandon();
  }

  get #nowMs(): number {
    return this.#main.model.nowMs;
  }

  /** Mostly those of the queue. */
  get #someClients(): CmqClients {
    return this.#random.below(5) === 0 ? this.#dead : this.#main;
  }

  async #step(): Promise<void> {
    const quiet = () => this.#process.quiet();
    const dice = this.#random.below(100);
    if (dice < 46) await this.#burst();
    else if (dice < 68) await this.#advance(8 * this.#random.below(2_500));
    else if (dice < 75) await this.#someClients.rewind(quiet);
    else if (dice < 80) this.#changeSettings();
    else if (dice < 81) this.#someClients.hangUp();
    else if (dice < 84) await this.#someClients.get(quiet);
    else if (dice < 88) this.#someClients.consume();
    else if (dice < 91) await this.#main.cancel(quiet);
    else if (dice < 92) this.#someClients.clear();
    else if (dice < 94) await this.#redrive();
    else if (dice < 96) await this.#tidy();
    else await this.#restart(dice < 98);
    await this.#quiet();
  }

  /** Some operations in one turn; sometimes the process dies before anything of it is on disk. */
  async #burst(): Promise<void> {
    const both = [this.#main, this.#dead];
    const before = both.map((clients) => [clients.model.snapshot(), clients.snapshot()] as const);
    const isDoomed = this.#random.below(25) === 0;
    if (isDoomed) this.#disk.hold();
    for (let count = 1 + this.#random.below(3); count > 0; count -= 1) this.#operate();
    if (!isDoomed) return;
    if (this.#random.below(2) === 0) this.#process.turn();
    this.#notes.note('crash before the commit');
    for (const [index, clients] of both.entries()) {
      clients.model.restore(before[index]![0]);
      clients.restore(before[index]![1]);
    }
    await this.#crash();
  }

  #operate(): void {
    const clients = this.#someClients;
    const dice = this.#random.below(100);
    if (dice < 4) this.#publish();
    else if (dice < 22) this.#send(1);
    else if (dice < 28) this.#send(2 + this.#random.below(4));
    else if (dice < 55) clients.receive();
    else if (dice < 72) clients.delete();
    else if (dice < 76) clients.settleDelivery();
    else if (dice < 84) clients.extend();
    else if (dice < 96) this.#main.retime();
    else clients.purge();
  }

  #send(count: number): void {
    const isDelayed = this.#random.below(3) === 0;
    const dueAtMs = this.#nowMs + this.#main.span(8, 3);
    const shape = this.#randomShape();
    for (let n = 0; n < count; n += 1) {
      const message = messageOf(this.#nextText(), this.#nowMs, shape);
      this.#main.send(message, isDelayed ? dueAtMs : undefined);
    }
  }

  /** Publishes to the topic, whose subscription wants some of it. */
  #publish(): void {
    // What the queue has no room for would be tried again by the subscription.
    if (this.#main.model.isFull) return;
    const isWanted = this.#random.below(4) > 0;
    const topic = {
      id: this.#process.nextTopicMessageId(),
      tag: isWanted ? WANTED_TAG : 'blue',
    };
    const shape = this.#randomShape();
    const body = this.#nextText();
    this.#notes.note(`publish ${body} as ${topic.id}, ${topic.tag}`);
    this.#process.publishToTopic(messageOf(body, this.#nowMs, { ...shape, topic }));
    if (!isWanted) return;
    this.#main.model.send({ id: topic.id, body, priority: shape.priority });
    this.#main.came(topic.id);
  }

  #nextText(): string {
    this.#bodyCount += 1;
    return `${this.#bodyCount}`.padStart(8, '0');
  }

  #randomShape(): MessageShape {
    const sizes = this.#disk.bodyBytes;
    const bodyBytes = sizes[this.#random.below(sizes.length)]!;
    const priority = this.#priorityMax === 0 ? -1 : this.#random.below(this.#priorityMax + 3) - 1;
    return { bodyBytes, priority };
  }

  /** Background work of the store, and of the queue at the same time. */
  async #tidy(): Promise<void> {
    const tidied = this.#disk.tidy();
    for (let count = this.#random.below(4); count > 0; count -= 1) this.#operate();
    await this.#quiet();
    await tidied;
  }

  /** Moves the dead letters home, where there is room and nobody else takes them. */
  async #redrive(): Promise<void> {
    const { main, dead } = { main: this.#main.model, dead: this.#dead.model };
    const count = dead.in('ready').length;
    const isParking = dead.settings.rewindMs > 0 || dead.in('rewindable').length > 0;
    const isBusy = this.#dead.hasTakers || main.room < count;
    if (count === 0 || isParking || isBusy) return;
    this.#notes.note(`redrive of ${count}`);
    const from = this.#process.queue('dead');
    const state: RedriveState = this.#process.redrive((entry) => {
      this.#moved.push(from.messageIdOf(entry));
    });
    await this.#quiet();
    for (let n = 0; state.status === 'running' && n < REDRIVE_ADVANCES_MAX; n += 1) {
      await this.#advance(8);
      await this.#quiet();
    }
    this.#notes.expect('redrive', state.status, 'completed');
  }

  /** What a redrive has moved is new to the queue. */
  #answerRedrive(): void {
    const ids = this.#moved.splice(0);
    const dead = this.#dead.model;
    this.#notes.expect(`${ids.join()} come home`, dead.mayHandOver(ids), true);
    this.#notes.check();
    for (const id of ids) {
      this.#notes.note(`${id} comes home`);
      const message = dead.leased(dead.handOver(id, Infinity, false))!;
      dead.delete(message);
      this.#main.model.revive(message);
      this.#main.came(id);
    }
  }

  #changeSettings(): void {
    const name = this.#random.below(4) === 0 ? 'dead' : 'q';
    const { model } = name === 'q' ? this.#main : this.#dead;
    model.settings = this.#randomSettings(name);
    this.#notes.note(`settings of ${name} ${JSON.stringify(model.settings)}`);
    this.#applySettings(name);
    model.process(this.#nowMs);
  }

  /** Lets time pass, stopping wherever something ends. */
  async #advance(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs;
    this.#notes.note(`advance to ${untilMs - START_MS}`);
    for (let nextMs = this.#nextMs; nextMs < untilMs; nextMs = this.#nextMs) {
      this.#moveClock(nextMs);
      await this.#quiet();
    }
    this.#moveClock(untilMs);
  }

  get #nextMs(): number {
    return Math.min(this.#main.model.nextMs, this.#dead.model.nextMs);
  }

  #moveClock(toMs: number): void {
    this.#clock.advance(toMs - this.#clock.wallMs());
    // What dies in the queue now is new to the other.
    this.#dead.model.process(toMs);
    this.#main.model.process(toMs);
  }

  /** Stops and starts again, perhaps some time later. */
  async #restart(isOrderly: boolean): Promise<void> {
    await this.#quiet();
    if (isOrderly) await this.#process.stop();
    const downMs = this.#random.below(2) === 0 ? 0 : 8 * this.#random.below(2_500);
    this.#notes.note(`${isOrderly ? 'restart' : 'crash'}, down for ${downMs}`);
    this.#clock.advance(downMs);
    await this.#crash();
  }

  async #crash(): Promise<void> {
    this.seen.crashes += 1;
    this.#process.abandon();
    for (const { model } of [this.#main, this.#dead]) {
      model.waiting = [];
      model.disconnect();
    }
    this.#moveClock(this.#clock.wallMs());
    await this.#start();
  }

  async #start(): Promise<void> {
    const topology = { priorityMax: this.#priorityMax };
    this.#process = await CmqProcess.start(this.#disk, this.#clock, this.#random, topology);
    this.#main.attach(this.#process.queue('q'));
    this.#dead.attach(this.#process.queue('dead'));
    this.#applySettings('q');
    this.#applySettings('dead');
    await this.#quiet();
  }

  #applySettings(name: QueueName): void {
    const { settings } = (name === 'q' ? this.#main : this.#dead).model;
    this.#process.configure(name, {
      countsReceives: true,
      visibilityTimeoutMs: settings.visibilityMs,
      retentionMs: settings.retentionMs,
      heapMax: settings.heapMax,
      ...(settings.rewindMs > 0 && { rewindMs: settings.rewindMs }),
      ...(name === 'q' && {
        deliveryLimit: settings.maxReceives - 1,
        deadLetterExchange: '',
        deadLetterRoutingKey: 'dead',
      }),
      ...(settings.ageLimitMs !== Infinity && {
        ageLimitMs: settings.ageLimitMs,
        ageLimitFromMs: settings.ageLimitFromMs,
      }),
    });
  }

  /** Lets the process finish what there is to do; then the receives must have come out. */
  async #quiet(): Promise<void> {
    await this.#process.quiet();
    this.#answerRedrive();
    this.#main.answer();
    this.#dead.answer();
  }

  async #compare(): Promise<void> {
    const notes = this.#notes;
    const expect = notes.expect.bind(notes);
    const isLooking = this.#lookEvery === 1 || this.#random.below(this.#lookEvery) === 0;
    for (const clients of [this.#main, this.#dead]) {
      compareCounters(clients, expect);
      const isEmpty = clients.model.messages.length === 0;
      if (isLooking && !isEmpty) await compare(clients, () => this.#process.reads(), expect);
    }
    for (const { state } of this.#main.model.messages) this.seen[state] += 1;
    this.seen.dead = this.#dead.model.messages.length;
    notes.check();
  }

  #randomSettings(name: QueueName): ModelSettings {
    const random = this.#random;
    const isOneOf = (n: number): boolean => random.below(n) === 0;
    const span = (scale: number, remainder: number) => 8 * random.below(scale * 1_000) + remainder;
    const isMain = name === 'q';
    const hasAgeLimit = isOneOf(3) && isMain;
    return {
      visibilityMs: span(4, 1),
      retentionMs: 20_000 + span(10, 2),
      rewindMs: isOneOf(isMain ? 3 : 2) ? 0 : 10_000 + span(8, 6),
      maxReceives: isOneOf(2) || !isMain ? 0 : 1 + random.below(4),
      ageLimitMs: hasAgeLimit ? span(8, 4) : Infinity,
      // What was there before the dead-letter queue was bound is exempt.
      ageLimitFromMs: hasAgeLimit ? this.#clock.wallMs() + 1 : 0,
      heapMax: isOneOf(3) ? 3 + random.below(6) : 1_000,
    };
  }
}
