import { Agent as HttpAgent, type AgentOptions, type ClientRequest } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Duplex } from 'node:stream';

/** Ms an idle connection is kept; most servers close theirs after 5 s. */
const IDLE_MS = 4_000;
/** Idle connections to one host. */
const IDLE_PER_HOST_MAX = 2;

const OPTIONS: AgentOptions = {
  keepAlive: true,
  // How many run is decided by the slot gate; an agent's own line would hide the wait.
  maxSockets: Infinity,
  maxFreeSockets: IDLE_PER_HOST_MAX,
  timeout: IDLE_MS,
  scheduling: 'lifo',
};

/** Bounds the idle connections of all agents that share it. */
class IdleSockets {
  readonly #max: number;
  /** With what runs when one closes. */
  readonly #sockets: Map<Duplex, () => void>;

  constructor(max: number) {
    this.#max = max;
    this.#sockets = new Map();
  }

  /** False when there are too many already. */
  add(socket: Duplex): boolean {
    if (this.#sockets.size >= this.#max) return false;
    const onClose = (): void => this.remove(socket);
    this.#sockets.set(socket, onClose);
    socket.on('close', onClose);
    return true;
  }

  remove(socket: Duplex): void {
    const onClose = this.#sockets.get(socket);
    if (onClose !== undefined) socket.off('close', onClose);
    this.#sockets.delete(socket);
  }
}

/** The agents of http and https, with one bound for the idle connections of both. */
export function createAgents(idleMax: number): { http: HttpAgent; https: HttpsAgent } {
  const idle = new IdleSockets(idleMax);
  return {
    http: bounded(new HttpAgent(OPTIONS), idle),
    https: bounded(new HttpsAgent(OPTIONS), idle),
  };
}

/** Both hooks are documented for being replaced. */
function bounded<T extends HttpAgent>(agent: T, idle: IdleSockets): T {
  const keep: (socket: Duplex) => unknown = agent.keepSocketAlive.bind(agent);
  const reuse = agent.reuseSocket.bind(agent);
  agent.keepSocketAlive = (socket: Duplex) => Boolean(keep(socket)) && idle.add(socket);
  agent.reuseSocket = (socket: Duplex, request: ClientRequest) => {
    idle.remove(socket);
    reuse(socket, request);
  };
  return agent;
}
