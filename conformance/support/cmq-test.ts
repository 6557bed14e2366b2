/**
 * What the CMQ suites share: the built server with users, keys and every listener they need, names
 * that nobody else uses, and checks of codes. One account is one vhost: `guest`, `owner` and
 * `limited` are users of one account, `stranger` is of another.
 */
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import {
  CmqClient,
  type CmqOptions,
  type CmqParameters,
  type CmqReply,
  moduleOf,
} from './cmq-client.ts';
import type { CmqKey } from './cmq-sign.ts';
import { ServerProcess, type ServerOptions } from './server-process.ts';

/** Modules of code 4000 that are about a parameter's presence, form or range. */
export const PARAMETER_MODULES = [
  10000, 10010, 10110, 10310, 10320, 10330, 10350, 10360, 10370, 10380, 10390, 10400,
] as const;

export const KEYS = {
  guest: { id: 'AKIDguest', secret: 'secret-of-guest' },
  /** May do everything too, and unlike `guest` from anywhere. */
  owner: { id: 'AKIDowner', secret: 'secret-of-owner' },
  /** May write what begins with `write-`, read what begins with `read-`, configure nothing. */
  limited: { id: 'AKIDlimited', secret: 'secret-of-limited' },
  /** Of the account `other`. */
  stranger: { id: 'AKIDstranger', secret: 'secret-of-stranger' },
  disabled: { id: 'AKIDdisabled', secret: 'secret-of-disabled' },
} as const satisfies Readonly<Record<string, CmqKey>>;

export type CmqUser = keyof typeof KEYS;

/** Users, rights and keys, loaded at every start. */
const DEFINITIONS = path.join(import.meta.dirname, 'cmq-definitions.json');

export interface CmqBroker {
  /** A client of a user, `guest` without one. */
  readonly client: (user?: CmqUser, options?: CmqOptions) => CmqClient;
  readonly server: () => ServerProcess;
}

/** Starts a server with everything the suites use; the caller disposes of it. */
export async function startCmq(options: ServerOptions = {}): Promise<ServerProcess> {
  const own = options.args ?? [];
  const host = own.includes('--host') ? [] : ['--host', '127.0.0.1'];
  const given = ['--mqtt-port', '0', '--load-definitions', DEFINITIONS];
  return await ServerProcess.start({ ...options, args: [...host, ...given, ...own] });
}

/** The address of the server's HTTP listener. */
export function cmqUrl(server: ServerProcess): string {
  return `http://127.0.0.1:${server.port('http')}`;
}

export function mqttAddress(server: ServerProcess): string {
  return `mqtt://guest:guest@127.0.0.1:${server.port('mqtt')}`;
}

/** Call once at the top of a test file. */
export function useCmq(options: ServerOptions = {}): CmqBroker {
  let server: ServerProcess | undefined;
  const clients: CmqClient[] = [];
  beforeAll(async () => {
    server = await startCmq(options);
  });
  afterAll(async () => {
    for (const client of clients) client.close();
    if (!server) return;
    try {
      if (!server.isRunning) throw new Error(`the server died:\n${server.log}`);
      expect(server.errors).toEqual([]);
      const exit = await server.stop();
      if (exit.code !== 0) throw new Error(`SIGTERM ended with ${exit.code ?? exit.signal}`);
    } finally {
      await server.dispose();
    }
  });
  const running = (): ServerProcess => {
    if (!server) throw new Error('the server is not up');
    return server;
  };
  return {
    server: running,
    client: (user = 'guest', how = {}) => {
      const client = new CmqClient(cmqUrl(running()), KEYS[user], how);
      clients.push(client);
      return client;
    },
  };
}

/** A queue, topic or subscription name that nobody else uses. */
export function unique(prefix = 'q'): string {
  return `${prefix}-${randomBytes(5).toString('hex')}`;
}

/** A new queue of its own. */
export async function makeQueue(
  client: CmqClient,
  attributes: CmqParameters = {},
): Promise<string> {
  const queueName = unique();
  await client.ok('CreateQueue', { queueName, ...attributes });
  return queueName;
}

/** Deletes every queue and topic of the account: quotas begin anew when a test is tried again. */
export async function empty(client: CmqClient): Promise<void> {
  const { topicList } = await client.ok('ListTopic', { limit: 50 });
  for (const { topicName } of topicList as { topicName: string }[]) {
    const { subscriptionList } = await client.ok('ListSubscriptionByTopic', { topicName });
    for (const { subscriptionName } of subscriptionList as { subscriptionName: string }[]) {
      await client.ok('Unsubscribe', { topicName, subscriptionName });
    }
    await client.ok('DeleteTopic', { topicName });
  }
  const { queueList } = await client.ok('ListQueue', { limit: 50 });
  for (const { queueName } of queueList as { queueName: string }[]) {
    await client.ok('DeleteQueue', { queueName });
  }
}

/** Code and module, exactly; several modules where the reference names several. */
export function expectCode(reply: CmqReply, code: number, ...modules: readonly number[]): void {
  expect(reply.code, reply.message).toBe(code);
  if (modules.length > 0) expect(modules, reply.message).toContain(moduleOf(reply.message));
}

/** Unix seconds. */
export const now = (): number => Math.floor(Date.now() / 1000);

/** Sleeps; only where time itself is what is tested. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * Polls until `probe` gives something truthy. The bound is for what is broken: a busy machine or a
 * disk that stalls is no fault.
 */
export async function eventually<T>(
  probe: () => Promise<T>,
  what: string,
  timeoutMs = 60_000,
): Promise<T> {
  const until = Date.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > until) throw new Error(`never happened: ${what}`);
    await pause(20);
  }
}

/** Milliseconds that `run` took, and what it gave. */
export async function timed<T>(run: () => Promise<T>): Promise<{ ms: number; value: T }> {
  const started = performance.now();
  const value = await run();
  return { ms: performance.now() - started, value };
}
