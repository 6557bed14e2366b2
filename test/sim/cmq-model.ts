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
  readonly priority: number;
  /** Higher ones are handed over first. */
  readonly level: number;
  readonly publishedAtMs: number;
  /** What it was before it died; undefined of a message that did not. */
  readonly origin: ModelDead | undefined;
  state: ModelState;
  /**
   * Place among the ready ones, or among the delayed and parked ones of the same time. Messages
   * that died, or came home, at one instant share a place: their order is nobody's promise.
   */
  order: number;
  /** Rest (see `rested`) before which it became ready. */
  readyIn: number;
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
  readonly priority: number;
  readonly publishedAtMs: number;
  readonly receiveCount: number;
  readonly reason: 'expired' | 'delivery_limit' | 'rejected';
}

/** What is sent. */
export interface ModelSend {
  readonly id: string;
  readonly body: string;
  readonly priority: number;
  /** Undefined: ready at once. */
  readonly dueAtMs?: number | undefined;
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
export type ModelSnapshot = readonly ModelMessage[];

export class CmqModel {
  settings: ModelSettings;
  nowMs: number;
  messages: ModelMessage[] = [];
  /** Receives in line: those that wait, in the order in which they came. */
  waiting: ModelReceive[] = [];
  #counter = 0;
  /** Counts rests. */
  #rest = 0;
  /** Place of what comes together before the next rest; 0 while nothing has. */
  #sharedOrder = 0;
  /** Takes what dies. */
  readonly #onDeath: (dead: ModelDead) => void;

  readonly #levelMax: number;

  /** @param levelMax highest priority that counts; 0: they are all the same */
  constructor(
    settings: ModelSettings,
    nowMs: number,
    levelMax: number,
    onDeath: (dead: ModelDead) => void,
  ) {
    this.settings = settings;
    this.nowMs = nowMs;
    this.#levelMax = levelMax;
    this.#onDeath = onDeath;
  }

  in(state: ModelState): ModelMessage[] {
    const found = this.messages.filter((message) => message.state === state);
    if (state !== 'ready') return found.sort((a, b) => a.order - b.order);
    return found.sort((a, b) => b.level - a.level || a.order - b.order);
  }

  /** Messages in a state. */
  count(state: ModelState): number {
    let count = 0;
    for (const message of this.messages) if (message.state === state) count += 1;
    return count;
  }

  get isFull(): boolean {
    return this.room <= 0;
  }

  /** Messages that may be sent yet. */
  get room(): number {
    const held = this.messages.filter((message) => message.state !== 'rewindable').length;
    return this.settings.heapMax - held;
  }

  send({ id, body, priority, dueAtMs }: ModelSend): void {
    const message = this.#add(id, body, priority, this.#next());
    if (dueAtMs === undefined) return;
    message.state = 'delayed';
    message.dueAtMs = dueAtMs;
  }

  /** A message of another queue has died, or comes back from its dead-letter queue. */
  bury(origin: ModelDead): void {
    const { originId, body, priority } = origin;
    this.#add(originId, body, priority, this.#shared(), origin);
  }

  /** A dead letter comes home, as if it were new. */
  revive({ id, body, priority }: ModelMessage): void {
    this.#add(id, body, priority, this.#shared());
  }

  /**
   * Ready messages that were received as often as the limit of now allows die when they are next
   * on their level; `ids` are being handed over.
   */
  endUsedUp(ids: readonly string[]): void {
    let blockedLevel = Infinity;
    for (const message of this.in('ready')) {
      if (message.level === blockedLevel || ids.includes(message.id)) continue;
      if (this.#isUsedUp(message)) this.#die(message, 'delivery_limit');
      else blockedLevel = message.level;
    }
  }

  /** Everything there was to do at this instant is done: what comes now comes later. */
  rested(): void {
    this.#rest += 1;
    this.#sharedOrder = 0;
  }

  /**
   * Whether handing those over, in whatever turns, leaves nothing behind that was before them.
   * What became ready since the last rest may have come in a later turn.
   */
  mayHandOver(ids: readonly string[]): boolean {
    if (ids.length === 0) return true;
    const ready = this.in('ready');
    const taken = ready.filter(({ id }) => ids.includes(id));
    const last = taken.at(-1);
    if (taken.length !== ids.length || last === undefined) return false;
    const left = ready.filter((message) => !taken.includes(message));
    return left.every((message) => isBefore(last, message) || message.readyIn === this.#rest);
  }

  /** Whether ready messages are in the order in which one receiver must get them. */
  isInOrder(ids: readonly string[]): boolean {
    if (ids.length === 0) return true;
    const ready = this.in('ready');
    const found = ids.map((id) => ready.find((message) => message.id === id));
    return found.every((message, index) => {
      const before = found[index - 1];
      if (message === undefined || before === undefined) return message !== undefined;
      return isBefore(before, message) || message.readyIn === this.#rest;
    });
  }

  /** Receives in the order in which they are served: those that wait were there first. */
  get line(): ModelReceive[] {
    return [...this.waiting].sort((a, b) => this.#rank(a) - this.#rank(b));
  }

  /** Hands a ready message over: by handle, or to a connection. */
  handOver(id: string, visibilityMs: number | undefined, hasHandle: boolean): ModelLease {
    const message = this.in('ready').find((each) => each.id === id)!;
    return this.#lease(message, visibilityMs, hasHandle);
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
      this.#makeReady(message);
      message.lease = 0;
      message.leaseUntilMs = Infinity;
    }
  }

  /** The message when that lease of it is alive. */
  leased(lease: ModelLease): ModelMessage | undefined {
    return this.in('leased').find((message) => message.lease === lease.lease);
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
      this.#makeReady(message);
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
      this.#makeReady(message);
      message.order = this.#next();
    }
  }

  snapshot(): ModelSnapshot {
    return this.messages.map((message) => ({ ...message }));
  }

  restore(snapshot: ModelSnapshot): void {
    this.messages = snapshot.map((message) => ({ ...message }));
  }

  #add(
    id: string,
    body: string,
    priority: number,
    order: number,
    origin?: ModelDead,
  ): ModelMessage {
    const message: ModelMessage = {
      id,
      body,
      priority,
      level: Math.min(Math.max(priority, 0), this.#levelMax),
      publishedAtMs: this.nowMs,
      origin,
      state: 'ready',
      order,
      readyIn: this.#rest,
      dueAtMs: 0,
      leaseUntilMs: Infinity,
      lease: 0,
      hasHandle: false,
      receiveCount: 0,
      firstReceivedAtMs: 0,
      isRewound: false,
    };
    this.messages.push(message);
    return message;
  }

  #makeReady(message: ModelMessage): void {
    message.state = 'ready';
    message.readyIn = this.#rest;
  }

  #shared(): number {
    if (this.#sharedOrder === 0) this.#sharedOrder = this.#next();
    return this.#sharedOrder;
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
    if (this.#endByAge(message)) return;
    if (this.#isUsedUp(message)) this.#die(message, 'delivery_limit');
    else this.#makeReady(message);
  }

  #isUsedUp({ receiveCount, isRewound }: ModelMessage): boolean {
    const { maxReceives } = this.settings;
    return maxReceives > 0 && receiveCount >= maxReceives && !isRewound;
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
    const { id, body, priority, publishedAtMs, receiveCount } = message;
    this.#onDeath({ originId: id, body, priority, publishedAtMs, receiveCount, reason });
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

/** Whether `a` is handed over before `b`, or may be. */
function isBefore(a: ModelMessage, b: ModelMessage): boolean {
  return a.level === b.level ? a.order <= b.order : a.level > b.level;
}
