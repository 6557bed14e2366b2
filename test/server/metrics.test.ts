import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { silentLogger } from '../../src/base/logger.ts';
import { importDefinitions } from '../../src/engine/definitions-import.ts';
import { METRICS_PROTOCOL } from '../../src/server/listeners.ts';
import { Server } from '../../src/server/server.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { serverConfig } from '../support/server-config.ts';

let directory = '';
let server: Server;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tributary-metrics-'));
  const config = serverConfig(directory, { host: [], metricsPort: 0 });
  const store = new MemoryStore();
  server = await Server.start({ config, logger: silentLogger, store, onFatal: () => undefined });
});

afterEach(async () => {
  await server.stop();
  rmSync(directory, { recursive: true });
});

interface Family {
  readonly type: string;
  readonly samples: Map<string, number>;
}

/** Reads the exposition format 0.0.4 as a scraper does, and refuses what it would refuse. */
function parse(text: string): ReadonlyMap<string, Family> {
  const families = new Map<string, Family>();
  let helpOf = '';
  let current: { readonly name: string; readonly family: Family } | undefined;
  expect(text.endsWith('\n')).toBe(true);
  for (const line of text.trimEnd().split('\n')) {
    const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (kind === 'HELP') {
      helpOf = name;
    } else if (kind === 'TYPE') {
      // Once for each name, right behind its help, before its samples.
      expect(helpOf).toBe(name);
      expect(families.has(name)).toBe(false);
      current = { name, family: { type: rest, samples: new Map() } };
      families.set(name, current.family);
    } else {
      const sample = /^([a-z_][a-z0-9_]*)(\{(?:[a-z_]+="(?:[^"\\]|\\[\\"n])*",?)+\})? (\S+)$/;
      const [, own = '', labels = '', value] = sample.exec(line) ?? [];
      expect(own, line).toBe(current?.name);
      expect(current!.family.samples.has(labels), line).toBe(false);
      expect(Number.isFinite(Number(value)), line).toBe(true);
      current!.family.samples.set(labels, Number(value));
    }
  }
  return families;
}

function request(path: string): Promise<Response> {
  const { port } = server.listeners.find(({ protocol }) => protocol === METRICS_PROTOCOL)!;
  return fetch(`http://127.0.0.1:${port}${path}`);
}

async function scrape(): Promise<ReadonlyMap<string, Family>> {
  const answer = await request('/metrics');
  expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  return parse(await answer.text());
}

test('is what a scraper understands, whatever queues are called', async () => {
  const queues = ['plain', 'a "b" \\c\nd'].map((name) => ({ name, vhost: '/', durable: true }));
  await importDefinitions(server.broker, { queues });
  const vhost = server.broker.vhost('/')!;
  for (const queue of vhost.topology.queues.values()) {
    vhost.cmq.queues.countersOf(queue).sentMessages += 3;
  }
  const families = await scrape();
  expect([...families.get('tributary_cmq_send_msg_num_total')!.samples]).toEqual([
    ['{vhost="/",queue="plain"}', 3],
    ['{vhost="/",queue="a \\"b\\" \\\\c\\nd"}', 3],
  ]);
  for (const [name, { type }] of families) {
    expect(type, name).toBe(name.endsWith('_total') ? 'counter' : 'gauge');
  }
});

test('only metrics are in the format of metrics', async () => {
  for (const [path, status] of [
    ['/healthz', 200],
    ['/other', 404],
  ] as const) {
    const answer = await request(path);
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8');
  }
});

test('is the same right after another scrape', async () => {
  const first = await scrape();
  expect([...(await scrape()).keys()]).toEqual([...first.keys()]);
});

test('has no series of its own for connections, users or plain queues', async () => {
  const before = await scrape();
  const queues = Array.from({ length: 50 }, (_, n) => ({ name: `q${n}`, vhost: '/' }));
  await importDefinitions(server.broker, { queues });
  const count = (families: ReadonlyMap<string, Family>): number =>
    [...families.values()].reduce((sum, { samples }) => sum + samples.size, 0);
  expect(count(await scrape())).toBe(count(before));
});
