/**
 * One test per rule of the specification. A rule that a real RabbitMQ does not follow is marked
 * `oursOnly` with the reason, and shows as skipped with that reason when the target is one.
 */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, inject, test } from 'vitest';
import { ServerProcess, type ServerOptions } from './server-process.ts';
import { WireConnection, type OpenOptions, type WireChannel } from './wire-client.ts';

export interface Rule {
  /** Where the rule stands: class.method, or the extension's name. */
  readonly section: string;
  readonly rule: string;
  /** Why a RabbitMQ is not expected to pass. */
  readonly oursOnly?: string;
  /** A documented difference the test itself allows for (see `SpecContext.isPeer`). */
  readonly tolerance?: string;
  /** The rule needs users of its own, which a given address of ours cannot be told. */
  readonly needsDefinitions?: boolean;
}

/** What a test works with; its connections are destroyed when it ends. */
export class SpecContext {
  readonly url: string;
  /** True when the target is a RabbitMQ. */
  readonly isPeer: boolean;
  readonly #connections: WireConnection[] = [];

  constructor(url: string, isPeer: boolean) {
    this.url = url;
    this.isPeer = isPeer;
  }

  /** A name nobody else uses. */
  name(prefix = 'q'): string {
    return `${prefix}-${randomBytes(5).toString('hex')}`;
  }

  async connect(options: OpenOptions = {}): Promise<WireConnection> {
    const connection = await WireConnection.open(this.url, options);
    this.#connections.push(connection);
    return connection;
  }

  /** A socket on which nothing was said yet. */
  async dial(): Promise<WireConnection> {
    const connection = await WireConnection.dial(this.url);
    this.#connections.push(connection);
    return connection;
  }

  /** A channel on a connection of its own. */
  async channel(options: OpenOptions = {}): Promise<WireChannel> {
    return await (await this.connect(options)).channel();
  }

  dispose(): void {
    for (const connection of this.#connections) connection.destroy();
  }
}

export type SpecTest = (rule: Rule, run: (context: SpecContext) => Promise<void>) => void;

/** The broker of one test file and the function that declares its tests. */
export interface Broker {
  readonly specTest: SpecTest;
  /** Address of the broker; known once tests run. */
  readonly url: () => string;
  readonly isPeer: boolean;
  /** Our own process; throws when the target was given from outside. */
  readonly server: () => ServerProcess;
}

/** Call once at the top of a test file. */
export function useBroker(options: ServerOptions = {}): Broker {
  const target = inject('target');
  const isPeer = target.kind === 'rabbitmq';
  let server: ServerProcess | undefined;
  if (target.url === undefined) {
    beforeAll(async () => {
      server = await ServerProcess.start(options);
    });
    afterAll(async () => {
      if (!server) return;
      try {
        if (!server.isRunning) throw new Error(`the server died:\n${server.log}`);
        const exit = await server.stop();
        if (exit.code !== 0) throw new Error(`SIGTERM ended with ${exit.code ?? exit.signal}`);
      } finally {
        await server.dispose();
      }
    });
  }
  const url = (): string => {
    const address = target.url ?? server?.url;
    if (address === undefined) throw new Error('the broker is not up');
    return address;
  };
  const specTest: SpecTest = (rule, run) => {
    const reason = skipReason(rule, isPeer);
    const title = `${rule.section}: ${rule.rule}${reason === undefined ? '' : ` [${reason}]`}`;
    test.skipIf(reason !== undefined)(title, async () => {
      const context = new SpecContext(url(), isPeer);
      try {
        await run(context);
      } finally {
        context.dispose();
      }
    });
  };
  return {
    specTest,
    url,
    isPeer,
    server: () => {
      if (!server) throw new Error('the target is not a process of ours');
      return server;
    },
  };
}

function skipReason(rule: Rule, isPeer: boolean): string | undefined {
  if (isPeer && rule.oursOnly !== undefined) return `ours only: ${rule.oursOnly}`;
  const isExternal = !isPeer && inject('target').url !== undefined;
  if (rule.needsDefinitions === true && isExternal) return 'needs users of its own';
  return undefined;
}

/** Sleeps; only where time itself is what the rule is about. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
