import { lookup, Resolver } from 'node:dns';

/** Addresses of a name that are tried at most. */
const ADDRESSES_MAX = 8;
/** Ms the first question to a name server waits; c-ares doubles it for the next. */
const QUESTION_TIMEOUT_MS = 2_000;
/** Questions per name server. */
const QUESTIONS_MAX = 2;

/** Turns names into addresses. */
export interface HostResolver {
  /**
   * @param isTrusted the operator named this host: the system's own ways (hosts file, search list)
   *   may answer
   * @param done called once, later; [] when the name has no address or nobody answers
   * @returns ends the question; `done` is then not called
   */
  resolve(
    name: string,
    isTrusted: boolean,
    done: (addresses: readonly string[]) => void,
  ): () => void;
}

interface Lookup {
  readonly name: string;
  /** Undefined once cancelled. */
  done: ((addresses: readonly string[]) => void) | undefined;
}

/**
 * Asks name servers over sockets. `dns.lookup` would wait in the thread pool that also carries the
 * store's commits: four names whose servers do not answer would stop the gateway. So only names of
 * the operator's own list take that way, one at a time.
 */
export class SystemResolver implements HostResolver {
  /** The first one is being asked for. */
  readonly #lookups: Lookup[];
  readonly #servers: readonly string[] | undefined;

  /** @param servers name servers, `host:port`; the system's when absent */
  constructor(servers?: readonly string[]) {
    this.#lookups = [];
    this.#servers = servers;
  }

  resolve(
    name: string,
    isTrusted: boolean,
    done: (addresses: readonly string[]) => void,
  ): () => void {
    if (isTrusted) return this.#lookUp(name, done);
    // RFC 6761, 6.3: these names are this machine wherever they are asked for.
    if (name === 'localhost' || name.endsWith('.localhost')) return answerLater(done);
    return this.#query(name, done);
  }

  /** A and AAAA; IPv4 first, which every machine has. A resolver of its own can be cancelled. */
  #query(name: string, done: (addresses: readonly string[]) => void): () => void {
    const resolver = new Resolver({ timeout: QUESTION_TIMEOUT_MS, tries: QUESTIONS_MAX });
    if (this.#servers !== undefined) resolver.setServers(this.#servers);
    let isCancelled = false;
    const answers: Record<4 | 6, readonly string[] | undefined> = { 4: undefined, 6: undefined };
    const take = (family: 4 | 6, found: readonly string[]): void => {
      answers[family] = found;
      const { 4: v4, 6: v6 } = answers;
      if (isCancelled || v4 === undefined || v6 === undefined) return;
      done([...v4, ...v6].slice(0, ADDRESSES_MAX));
    };
    resolver.resolve4(name, (error, found) => take(4, error ? [] : found));
    resolver.resolve6(name, (error, found) => take(6, error ? [] : found));
    return () => {
      isCancelled = true;
      resolver.cancel();
    };
  }

  #lookUp(name: string, done: (addresses: readonly string[]) => void): () => void {
    const item: Lookup = { name, done };
    this.#lookups.push(item);
    if (this.#lookups.length === 1) this.#askSystem();
    return () => {
      item.done = undefined;
    };
  }

  #askSystem(): void {
    while (this.#lookups.length > 0 && this.#lookups[0]!.done === undefined) this.#lookups.shift();
    const [item] = this.#lookups;
    if (item === undefined) return;
    lookup(item.name, { all: true, verbatim: true }, (error, found) => {
      this.#lookups.shift();
      const addresses = error ? [] : found.map(({ address }) => address);
      item.done?.(addresses.slice(0, ADDRESSES_MAX));
      this.#askSystem();
    });
  }
}

function answerLater(done: (addresses: readonly string[]) => void): () => void {
  const timer = setImmediate(() => done(['127.0.0.1', '::1']));
  return () => clearImmediate(timer);
}
