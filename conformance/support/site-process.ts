/** Programs as processes of their own: sites that are told what to do, workers that are killed. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import path from 'node:path';
import readline from 'node:readline';
import { within } from './inbox.ts';

const PROGRAMS = path.resolve(import.meta.dirname, '../cmq/programs');
const ANSWER_TIMEOUT_MS = 60_000;

export type Environment = Readonly<Record<string, string>>;

/** Starts a program of `conformance/cmq/programs`. */
export function startProgram(
  name: string,
  env: Environment,
  prefix: readonly string[] = [],
): ChildProcess {
  const [command, ...args] = [...prefix, process.execPath, path.join(PROGRAMS, name)];
  return spawn(command, args, {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, NODE_NO_WARNINGS: '1', ...env },
  });
}

interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** `site.mjs`: asks and waits for the answer. */
export class Site {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #asked = 0;

  constructor(env: Environment, prefix: readonly string[] = []) {
    this.#child = startProgram('site.mjs', env, prefix);
    readline.createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      const answer = JSON.parse(line) as Answer;
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
  }

  async run<T>(action: string, given: object = {}): Promise<T> {
    const id = (this.#asked += 1);
    const answered = new Promise<Answer>((resolve) => this.#waiting.set(id, resolve));
    this.#child.stdin!.write(`${JSON.stringify({ id, run: action, with: given })}\n`);
    const { value, error } = await within(answered, ANSWER_TIMEOUT_MS, `a site: ${action}`);
    if (error !== undefined) throw new Error(error);
    return value as T;
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }
}

/** Two sites and a gateway, each in a network of its own; the sites have no route to each other. */
export interface Networks {
  /** What is put before a command to run it in a network. */
  readonly inGateway: readonly string[];
  readonly inA: readonly string[];
  readonly inB: readonly string[];
  /** The gateway as each site sees it, and the sites' own addresses. */
  readonly gatewayOfA: string;
  readonly gatewayOfB: string;
  readonly addressOfA: string;
  readonly addressOfB: string;
  /** False: the machine allows no network namespaces, and all is loopback addresses. */
  readonly isApart: boolean;
  remove(): void;
}

const ip = (...args: readonly string[]): void => {
  execFileSync('ip', args, { stdio: 'ignore' });
};

/** Network namespaces where the machine allows them, distinct loopback addresses where not. */
export function makeNetworks(): Networks {
  const name = (site: string): string => `cmq-${site}-${process.pid}`;
  const [gateway, a, b] = [name('g'), name('a'), name('b')];
  const remove = (): void => {
    for (const space of [a, b, gateway]) {
      try {
        ip('netns', 'delete', space);
      } catch {
        // It was not made.
      }
    }
  };
  try {
    for (const space of [gateway, a, b]) ip('netns', 'add', space);
    for (const [site, end, subnet] of [
      [a, `cq${process.pid % 100_000}a`, '10.203.1'],
      [b, `cq${process.pid % 100_000}b`, '10.203.2'],
    ] as const) {
      ip('link', 'add', end, 'netns', gateway, 'type', 'veth', 'peer', 'name', end, 'netns', site);
      ip('-n', gateway, 'address', 'add', `${subnet}.1/30`, 'dev', end);
      ip('-n', site, 'address', 'add', `${subnet}.2/30`, 'dev', end);
      for (const space of [gateway, site]) {
        ip('-n', space, 'link', 'set', end, 'up');
        ip('-n', space, 'link', 'set', 'lo', 'up');
      }
    }
  } catch {
    remove();
    return {
      ...{ inGateway: [], inA: [], inB: [], isApart: false, remove: () => {} },
      ...{ gatewayOfA: '127.0.0.1', gatewayOfB: '127.0.0.1' },
      ...{ addressOfA: '127.0.0.2', addressOfB: '127.0.0.3' },
    };
  }
  const within_ = (space: string): readonly string[] => ['ip', 'netns', 'exec', space];
  return {
    ...{ inGateway: within_(gateway), inA: within_(a), inB: within_(b), isApart: true, remove },
    ...{ gatewayOfA: '10.203.1.1', gatewayOfB: '10.203.2.1' },
    ...{ addressOfA: '10.203.1.2', addressOfB: '10.203.2.2' },
  };
}
