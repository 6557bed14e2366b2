/**
 * The reference model of a CMQ queue: plain arrays, no store, no heaps, every rule said once.
 *
 *     send --> READY <--> LEASED --> REWINDABLE --> gone
 *               ^  ^         |           |
 *     DELAYED --+  +---------+-----------+       any of them --> gone (retention), dead (limits)
 *
 * Time moves by `process`, which must be called at every instant at which something ends (`nextMs`),
 * or late, as a process that was down does.
 */

export type ModelState = 'ready' | 'leased' | 'delayed' | 'rewindable';

export interface ModelSettings {
  readonly visibilityMs: number;
  readonly retentionMs: number;
  /** 0: no rewinding. */
  readonly rewindMs: number;
  /** Receives after which a message is dead-lettered; 0: no limit. */
  readonly maxReceives: number;
  /** Infinity: no limit. */
  readonly ageLimitMs: number;
  readonly ageLimitFromMs: number;
  readonly heapMax: number;
}

export interface ModelMessage {
  readonly id: string;
  readonly body: string;
  readonly publishedAtMs: number;
  state: ModelState;
  /** Place among the ready ones, or among the delayed and parked ones of the same time. */
  order: number;
  dueAtMs: number;
  leaseUntilMs: number;
  /** Unique number of the present lease; 0 without one. */
  lease: number;
  /** The lease belongs to nobody's connection, and outlives the process. */
  hasHandle: boolean;
  receiveCount: number;
  firstReceivedAtMs: number;
  isRewound: boolean;
}

/** What a dead-letter queue must hold of a message. */
export interface ModelDead {
  readonly originId: string;
  readonly body: string;
  readonly publishedAtMs: number;
  readonly receiveCount: number;
  readonly reason: 'expired' | 'delivery_limit' | 'rejected';
}

/** A receive that waits, or is answered in this step. */
export interface ModelReceive {
  readonly number: number;
  readonly maxCount: number;
  readonly visibilityMs: number | undefined;
  readonly untilMs: number;
}

/** A lease as the client knows it: it is alive while the message has that lease. */
export interface ModelLease {
  readonly id: string;
  readonly lease: number;
  readonly receiveCount: number;
}

/** Everything that a crash takes back to what was committed. */
export interface ModelSnapshot {
  readonly messages: readonly ModelMessage[];
  readonly dead: readonly ModelDead[];
}

export class CmqModel {
  settings: ModelSettings;
  nowMs: number;
  messages: ModelMessage[] = [];
  dead: ModelDead[] = [];
  /** Receives in line: those that wait, in the order in which they came. */
  waiting: ModelReceive[] = [];
  #counter = 0;

  constructor(settings: ModelSettings, nowMs: number) {
    this.settings = settings;
    this.nowMs = nowMs;
  }

  in(state: ModelState): ModelMessage[] {
    const found = this.messages.filter((message) => message.state === state);
    return found.sort((a, b) => a.order - b.order);
  }

  get isFull(): boolean {
    const held = this.messages.filter((message) => message.state !== 'rewindable').length;
    return held >= this.settings.heapMax;
  }

  /** `dueAtMs` undefined: ready at once. */
  send(id: string, body: string, dueAtMs: number | undefined): void {
    this.messages.push({
      id,
      body,
      publishedAtMs: this.nowMs,
      state: dueAtMs === undefined ? 'ready' : 'delayed',
      order: this.#next(),
      dueAtMs: dueAtMs ?? 0,
      leaseUntilMs: Infinity,
      lease: 0,
      hasHandle: false,
      receiveCount: 0,
      firstReceivedAtMs: 0,
      isRewound: false,
    });
  }

  /** Receives in the order in which they are served: those that wait were there first. */
  get line(): ModelReceive[] {
    return [...this.waiting].sort((a, b) => this.#rank(a) - this.#rank(b));
  }

  /** Leases the oldest ready messages to a receive, at most `maxCount` of them. */
  serve(receive: ModelReceive, maxCount: number): ModelLease[] {
    const ready = this.in('ready').slice(0, maxCount);
    return ready.map((message) => this.#lease(message, receive.visibilityMs, true));
  }

  /** Leases the oldest ready message to a connection (basic.get); undefined without one. */
  get(): ModelLease | undefined {
    const [oldest] = this.in('ready');
    return oldest && this.#lease(oldest, undefined, false);
  }

  /** Ends a lease before its time: the message comes back, or has been leased too often. */
  release(message: ModelMessage): void {
    this.#endLease(message);
  }

  /** A consumer wants a message to be dead-lettered. */
  reject(message: ModelMessage): void {
    this.#die(message, 'rejected');
  }

  /** The process ends: so do the leases of its connections, which nobody counts as failures. */
  disconnect(): void {
    for (const message of this.in('leased')) {
      if (message.hasHandle) continue;
      message.state = 'ready';
      message.lease = 0;
      message.leaseUntilMs = Infinity;
    }
  }

  /** The message when that lease of it is alive. */
  leased(lease: ModelLease): ModelMessage | undefined {
    const message = this.messages.find(({ id }) => id === lease.id);
    return message?.state === 'leased' && message.lease === lease.lease ? message : undefined;
  }

  delete(message: ModelMessage): void {
    message.lease = 0;
    message.leaseUntilMs = Infinity;
    if (this.#rewindEndMs(message) <= this.nowMs) this.#remove(message);
    else {
      message.state = 'rewindable';
      message.order = this.#next();
    }
  }

  /** A new deadline for a lease; one that is not to come ends it. */
  extend(message: ModelMessage, untilMs: number): void {
    message.leaseUntilMs = untilMs;
    if (untilMs <= this.nowMs) this.#endLease(message);
  }

  retime(message: ModelMessage, dueAtMs: number): void {
    message.dueAtMs = dueAtMs;
  }

  cancel(message: ModelMessage): void {
    this.#remove(message);
  }

  /** What was published at or after `fromMs` comes back, in the order of publishing. */
  rewind(fromMs: number): number {
    const back = this.in('rewindable').filter(({ publishedAtMs }) => publishedAtMs >= fromMs);
    for (const message of back.sort((a, b) => a.publishedAtMs - b.publishedAtMs)) {
      message.state = 'ready';
      message.order = this.#next();
      message.isRewound = true;
      message.firstReceivedAtMs = 0;
    }
    return back.length;
  }

  purge(): number {
    const ready = this.in('ready');
    for (const message of ready) this.#remove(message);
    return ready.length;
  }

  clear(): number {
    const { length } = this.messages.filter(({ state }) => state !== 'rewindable');
    this.messages = [];
    return length;
  }

  /** The earliest instant after now at which something ends by itself; Infinity without one. */
  get nextMs(): number {
    let next = Infinity;
    const consider = (atMs: number): void => {
      if (atMs > this.nowMs && atMs < next) next = atMs;
    };
    for (const message of this.messages) {
      consider(this.#retentionEndMs(message));
      consider(this.#ageEndMs(message));
      consider(this.#rewindEndMs(message));
      consider(message.leaseUntilMs);
      if (message.state === 'delayed') consider(message.dueAtMs);
    }
    for (const { untilMs } of this.waiting) consider(untilMs);
    return next;
  }

  /** Time is `nowMs` now: what is due happens, be it late. Receives are not served. */
  process(nowMs: number): void {
    this.nowMs = nowMs;
    for (const message of this.in('rewindable')) {
      if (this.#rewindEndMs(message) <= nowMs) this.#remove(message);
    }
    for (const message of this.in('ready')) this.#endByAge(message);
    for (const message of this.in('leased')) {
      const endMs = Math.min(message.leaseUntilMs, this.#retentionEndMs(message));
      if (endMs <= nowMs) this.#endLease(message);
    }
    const due = this.in('delayed').filter((message) => message.dueAtMs <= nowMs);
    for (const message of this.in('delayed')) {
      if (this.#retentionEndMs(message) <= nowMs) this.#remove(message);
    }
    for (const message of due.sort((a, b) => a.dueAtMs - b.dueAtMs)) {
      if (!this.messages.includes(message) || this.#endByAge(message)) continue;
      message.state = 'ready';
      message.order = this.#next();
    }
  }

  snapshot(): ModelSnapshot {
    return { messages: this.messages.map((message) => ({ ...message })), dead: [...this.dead] };
  }

  restore({ messages, dead }: ModelSnapshot): void {
    this.messages = messages.map((message) => ({ ...message }));
    this.dead = [...dead];
  }

  #lease(message: ModelMessage, visibilityMs: number | undefined, hasHandle: boolean): ModelLease {
    message.state = 'leased';
    message.hasHandle = hasHandle;
    message.receiveCount += 1;
    message.lease = this.#next();
    if (message.firstReceivedAtMs === 0) message.firstReceivedAtMs = this.nowMs;
    message.leaseUntilMs = this.nowMs + (visibilityMs ?? this.settings.visibilityMs);
    return { id: message.id, lease: message.lease, receiveCount: message.receiveCount };
  }

  #endLease(message: ModelMessage): void {
    message.lease = 0;
    message.leaseUntilMs = Infinity;
    const { maxReceives } = this.settings;
    if (this.#endByAge(message)) return;
    if (maxReceives > 0 && message.receiveCount >= maxReceives && !message.isRewound) {
      this.#die(message, 'delivery_limit');
    } else {
      message.state = 'ready';
    }
  }

  /** The earlier of the two age limits that have passed decides; false when none has. */
  #endByAge(message: ModelMessage): boolean {
    const ageEndMs = this.#ageEndMs(message);
    const retentionEndMs = this.#retentionEndMs(message);
    if (ageEndMs <= this.nowMs && ageEndMs <= retentionEndMs) this.#die(message, 'expired');
    else if (retentionEndMs <= this.nowMs) this.#remove(message);
    else return false;
    return true;
  }

  #die(message: ModelMessage, reason: ModelDead['reason']): void {
    const { id, body, publishedAtMs, receiveCount } = message;
    this.dead.push({ originId: id, body, publishedAtMs, receiveCount, reason });
    this.#remove(message);
  }

  #remove(message: ModelMessage): void {
    this.messages = this.messages.filter((each) => each !== message);
  }

  #retentionEndMs(message: ModelMessage): number {
    return message.publishedAtMs + this.settings.retentionMs;
  }

  /** A message that was had back has been consumed once: no limit but retention ends it. */
  #ageEndMs({ isRewound, publishedAtMs }: ModelMessage): number {
    const { ageLimitMs, ageLimitFromMs } = this.settings;
    return isRewound || publishedAtMs < ageLimitFromMs ? Infinity : publishedAtMs + ageLimitMs;
  }

  #rewindEndMs(message: ModelMessage): number {
    const { rewindMs, retentionMs } = this.settings;
    return message.publishedAtMs + Math.min(rewindMs, retentionMs);
  }

  /** Those that wait are served before those that do not. */
  #rank({ untilMs, number }: ModelReceive): number {
    return untilMs > this.nowMs ? number : number + 1e9;
  }

  #next(): number {
    this.#counter += 1;
    return this.#counter;
  }
}
