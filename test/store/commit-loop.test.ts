import { beforeEach, describe, expect, it } from 'vitest';
import { CommitLoop, type CommitSink, LAZY_COMMIT_MS } from '../../src/store/commit-loop.ts';
import { ManualScheduler } from './manual-scheduler.ts';

/** A disk whose writes end when the test says so. */
class ManualSink implements CommitSink {
  isUrgent = true;
  putCount = 0;
  readonly pending: { resolve: () => void; reject: (error: Error) => void }[] = [];
  chore: Promise<void> | undefined;

  write(): Promise<void> {
    return new Promise((resolve, reject) => this.pending.push({ resolve, reject }));
  }

  afterCommit(): Promise<void> | undefined {
    return this.chore;
  }
}

let sink: ManualSink;
let scheduler: ManualScheduler;
let loop: CommitLoop;
let log: string[];

beforeEach(() => {
  sink = new ManualSink();
  scheduler = new ManualScheduler();
  loop = new CommitLoop(sink, scheduler);
  log = [];
  loop.onCommitted = (ticket) => log.push(`committed ${ticket}`);
  loop.onFailure = (error) => log.push(`failed: ${error.message}`);
});

/** Lets promise callbacks run. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Ends the commit in flight. */
async function endCommit(): Promise<void> {
  sink.pending.at(-1)!.resolve();
  await settle();
}

/** Buffers `putCount` puts and asks for a commit, which takes them when it starts now. */
function start(putCount: number): void {
  sink.putCount = putCount;
  loop.touch();
  loop.commit(false);
  sink.putCount = 0;
}

describe('commit loop', () => {
  it('does nothing when nothing is buffered', () => {
    loop.commit(false);
    expect(sink.pending).toHaveLength(0);
    expect(loop.ticket).toBe(0);
    expect(loop.committedTicket).toBe(0);
  });

  it('has one commit in flight and collects the next meanwhile', async () => {
    loop.touch();
    expect(loop.ticket).toBe(1);
    loop.commit(false);
    expect(loop.ticket).toBe(1);
    loop.touch();
    loop.commit(false);
    loop.commit(false);
    expect(loop.ticket).toBe(2);
    expect(sink.pending).toHaveLength(1);
    sink.pending[0]!.resolve();
    await settle();
    expect(log).toEqual(['committed 1']);
    expect(sink.pending).toHaveLength(2);
    sink.pending[1]!.resolve();
    await settle();
    expect(log).toEqual(['committed 1', 'committed 2']);
    expect(loop.isDirty).toBe(false);
  });

  it('does not start what nobody asked for', async () => {
    loop.touch();
    loop.commit(false);
    loop.touch();
    sink.pending[0]!.resolve();
    await settle();
    expect(sink.pending).toHaveLength(1);
    expect(loop.isDirty).toBe(true);
  });

  it('lets the listener of a commit start the next', async () => {
    loop.onCommitted = (ticket) => {
      log.push(`committed ${ticket}`);
      if (ticket > 1) return;
      loop.touch();
      loop.commit(false);
    };
    loop.touch();
    loop.commit(false);
    sink.pending[0]!.resolve();
    await settle();
    expect(sink.pending).toHaveLength(2);
  });

  it('delays a lazy commit, once, and an urgent one ends the wait', async () => {
    sink.isUrgent = false;
    loop.touch();
    loop.commit(true);
    loop.commit(true);
    expect(scheduler.delays).toEqual([LAZY_COMMIT_MS]);
    expect(sink.pending).toHaveLength(0);
    loop.commit(false);
    expect(sink.pending).toHaveLength(1);
    expect(scheduler.delays).toEqual([]);
    sink.pending[0]!.resolve();
    await settle();
    loop.touch();
    loop.commit(true);
    scheduler.fire();
    expect(sink.pending).toHaveLength(2);
  });

  it('does not delay urgent content however lazily asked', () => {
    loop.touch();
    loop.commit(true);
    expect(sink.pending).toHaveLength(1);
  });

  it('keeps the disk for a chore, but reports the commit before it', async () => {
    let endChore = (): void => undefined;
    sink.chore = new Promise((resolve) => {
      endChore = resolve;
    });
    loop.touch();
    loop.commit(false);
    sink.pending[0]!.resolve();
    await settle();
    expect(log).toEqual(['committed 1']);
    loop.touch();
    loop.commit(false);
    expect(sink.pending).toHaveLength(1);
    sink.chore = undefined;
    endChore();
    await settle();
    expect(sink.pending).toHaveLength(2);
  });

  it('ends with the first failure', async () => {
    loop.touch();
    loop.commit(false);
    loop.touch();
    loop.commit(false);
    sink.pending[0]!.reject(new Error('disk'));
    await settle();
    loop.touch();
    loop.commit(false);
    expect(loop.force()).toBe(false);
    loop.fail(new Error('again'));
    await loop.idle();
    expect(log).toEqual(['failed: disk']);
    expect(sink.pending).toHaveLength(1);
    expect(loop.committedTicket).toBe(0);
  });
});

describe('a failure outside a commit', () => {
  it('lets the commit in flight end, which is told to nobody, and the loop be idle', async () => {
    loop.touch();
    loop.commit(false);
    loop.fail(new Error('read'));
    let isIdle = false;
    void loop.idle().then(() => (isIdle = true));
    await settle();
    expect(isIdle).toBe(false);
    await endCommit();
    expect(isIdle).toBe(true);
    expect(log).toEqual(['failed: read']);
    expect(loop.committedTicket).toBe(0);
  });
});

describe('gathering', () => {
  it('holds the next commit until as many puts have come as were confirmed', async () => {
    start(10);
    await endCommit();
    sink.putCount = 9;
    loop.touch();
    loop.commit(false);
    scheduler.iterate();
    expect(sink.pending).toHaveLength(1);
    sink.putCount = 10;
    scheduler.iterate();
    expect(sink.pending).toHaveLength(2);
  });

  it('waits no longer than its deadline', async () => {
    start(10);
    await endCommit();
    loop.touch();
    loop.commit(false);
    scheduler.clockMs = 0.19;
    scheduler.iterate();
    expect(sink.pending).toHaveLength(1);
    scheduler.clockMs = 0.2;
    scheduler.iterate();
    expect(sink.pending).toHaveLength(2);
  });

  it('does not wait after a commit without puts', async () => {
    start(0);
    await endCommit();
    loop.touch();
    loop.commit(false);
    expect(sink.pending).toHaveLength(2);
  });

  it('pauses when nobody answers confirms with publishes', async () => {
    for (let round = 1; round <= 4; round += 1) {
      start(10);
      await endCommit();
      scheduler.clockMs += 1;
      scheduler.iterate();
    }
    start(10);
    await endCommit();
    start(10);
    expect(sink.pending).toHaveLength(6);
  });

  it('is not idle meanwhile, and idle after', async () => {
    start(10);
    await endCommit();
    let isIdle = false;
    void loop.idle().then(() => (isIdle = true));
    await settle();
    expect(isIdle).toBe(false);
    scheduler.clockMs = 1;
    scheduler.iterate();
    await settle();
    expect(isIdle).toBe(true);
  });
});

describe('watching', () => {
  /** A commit after one whose confirms were answered. */
  async function startAnswered(): Promise<void> {
    start(1);
    await endCommit();
    answer();
  }

  /** The publishers' answer ends the gathering. */
  function answer(): void {
    sink.putCount = 1;
    loop.touch();
    loop.commit(false);
    scheduler.iterate();
    sink.putCount = 0;
    expect(sink.pending).toHaveLength(2);
  }

  it('keeps the event loop awake until the commit ends', async () => {
    scheduler.hasSpareProcessor = true;
    await startAnswered();
    scheduler.iterate();
    expect(scheduler.soonTasks).toHaveLength(1);
    await endCommit();
    scheduler.clockMs += 0.5;
    scheduler.iterate();
    scheduler.iterate();
    expect(scheduler.soonTasks).toHaveLength(0);
  });

  it('leaves a slow disk to the kernel', async () => {
    scheduler.hasSpareProcessor = true;
    await startAnswered();
    scheduler.clockMs += 1;
    scheduler.iterate();
    expect(scheduler.soonTasks).toHaveLength(0);
  });

  it('does not watch when nobody answered, nor with one processor', async () => {
    scheduler.hasSpareProcessor = true;
    start(1);
    expect(scheduler.soonTasks).toHaveLength(0);
    await endCommit();
    scheduler.hasSpareProcessor = false;
    answer();
    expect(scheduler.soonTasks).toHaveLength(0);
  });
});
