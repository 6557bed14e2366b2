/** What crashes in a kill test: our server by SIGKILL, or the connections to another broker. */
import { pause } from '../support/spec-test.ts';
import type { ServerProcess } from '../support/server-process.ts';
import { checkIntegrity } from './integrity.ts';

export interface KillOptions {
  readonly cycles: number;
  readonly seed: number;
  /** A broker to cut connections to instead of killing our server. */
  readonly url?: string;
  /** Where our server keeps its data; a temporary directory when not given. */
  readonly dataDir?: string;
  readonly onCycle?: (cycle: number, text: string) => void;
}

export interface KillReport<V> {
  readonly verdict: V;
  /** Cycles after which SQLite did not say ok, with what it said. */
  readonly integrityFailures: readonly string[];
  /** Errors other than the end of a killed connection. */
  readonly errors: readonly string[];
  /** From spawn to ready after a kill, in ms: the longest. */
  readonly restartMaxMs: number;
  readonly seconds: number;
}

/** A client's end of a connection to the victim. */
export interface ClientEnd {
  destroy(): void;
  /** Resolves when the other end is gone. */
  ended(): Promise<unknown>;
}

export interface Victim {
  readonly url: string;
  readonly integrityFailures: readonly string[];
  readonly restartMaxMs: number;
  crash(ends: readonly ClientEnd[], cycle: number): Promise<void>;
  revive(): Promise<void>;
  dispose(): Promise<void>;
}

/** Killed, checked, and started again on its data. */
export class KilledServer implements Victim {
  readonly integrityFailures: string[];
  restartMaxMs: number;
  readonly #server: ServerProcess;
  readonly #urlOf: (server: ServerProcess) => string;

  constructor(server: ServerProcess, urlOf: (server: ServerProcess) => string) {
    this.integrityFailures = [];
    this.restartMaxMs = 0;
    this.#server = server;
    this.#urlOf = urlOf;
  }

  /** A restart may give it another port. */
  get url(): string {
    return this.#urlOf(this.#server);
  }

  async crash(ends: readonly ClientEnd[], cycle: number): Promise<void> {
    await this.#server.kill();
    await Promise.all(ends.map((end) => end.ended()));
    const verdict = await checkIntegrity(this.#server.dataDir);
    if (verdict !== 'ok') this.integrityFailures.push(`cycle ${cycle}: ${verdict}`);
  }

  async revive(): Promise<void> {
    const startedAtMs = performance.now();
    await this.#server.restart();
    this.restartMaxMs = Math.max(this.restartMaxMs, performance.now() - startedAtMs);
  }

  async dispose(): Promise<void> {
    await this.#server.dispose();
  }
}

/** Only its connections can be cut. */
export class CutBroker implements Victim {
  readonly url: string;
  readonly integrityFailures: readonly string[];
  readonly restartMaxMs: number;

  constructor(url: string) {
    this.url = url;
    this.integrityFailures = [];
    this.restartMaxMs = 0;
  }

  async crash(ends: readonly ClientEnd[]): Promise<void> {
    for (const end of ends) end.destroy();
    await pause(300);
  }

  async revive(): Promise<void> {}

  async dispose(): Promise<void> {}
}
