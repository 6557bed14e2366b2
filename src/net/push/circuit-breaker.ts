import type { Clock } from '../../base/clock.ts';

/** How a breaker opens and closes. */
export interface CircuitLimits {
  /** Failures in a row that open a circuit. */
  readonly failuresMax: number;
  /** Failures in a row that make an endpoint suspect: no more a chance one. */
  readonly suspectFailures: number;
  /** Ms it stays open before one attempt may probe. */
  readonly openMs: number;
  /** Endpoints remembered at most; the one whose first failure is oldest is forgotten first. */
  readonly endpointsMax: number;
}

/**
 * Half the shortest pause between two attempts of one message (BACKOFF_RETRY, 10 s): to wait for a
 * probe moves no attempt to where the next one belongs.
 */
export const DEFAULT_CIRCUIT_LIMITS: CircuitLimits = {
  failuresMax: 5,
  suspectFailures: 2,
  openMs: 5_000,
  endpointsMax: 10_000,
};

interface Circuit {
  failureCount: number;
  /** Monotonic ms from which a probe may go; only while open. */
  probeAtMs: number;
  isProbing: boolean;
  /** Those that were not let in, in order of arrival. */
  readonly waiters: Set<ProbeListener>;
}

/** Told once how a probe ended: up, down, or undefined when it says nothing and another is due. */
export type ProbeListener = (isUp: boolean | undefined) => void;

const NEVER_FAILED = { failureCount: 0 };

/**
 * One circuit per endpoint. Closed circuits that never failed take no memory.
 *
 *     closed --failuresMax in a row--> open --openMs--> one probe --ok--> closed
 *                                       ^------------------failed--'
 *
 * Who is not let in may wait for the next probe, and so learns whether the endpoint was down at a
 * time after he came.
 */
export class CircuitBreaker {
  readonly #clock: Clock;
  readonly #limits: CircuitLimits;
  readonly #circuits: Map<string, Circuit>;

  constructor(clock: Clock, limits: CircuitLimits = DEFAULT_CIRCUIT_LIMITS) {
    this.#clock = clock;
    this.#limits = limits;
    this.#circuits = new Map();
  }

  /** Endpoints that are open or being probed. */
  get openCount(): number {
    let count = 0;
    for (const circuit of this.#circuits.values()) count += Number(this.#isOpen(circuit));
    return count;
  }

  /** True for an endpoint that may cost its attempts their whole time. */
  isSuspect(endpoint: string): boolean {
    const { failureCount } = this.#circuits.get(endpoint) ?? NEVER_FAILED;
    return failureCount >= this.#limits.suspectFailures;
  }

  /** True when an attempt may go. Each that goes ends in `succeeded`, `failed` or `abandoned`. */
  tryEnter(endpoint: string): boolean {
    const circuit = this.#circuits.get(endpoint);
    if (circuit === undefined || !this.#isOpen(circuit)) return true;
    if (circuit.isProbing || this.#clock.monotonicMs() < circuit.probeAtMs) return false;
    circuit.isProbing = true;
    return true;
  }

  /**
   * Ms until somebody may probe; undefined while somebody does, whose end is told. Only after
   * `tryEnter` said no.
   */
  probeDelayMs(endpoint: string): number | undefined {
    const circuit = this.#circuits.get(endpoint);
    if (circuit?.isProbing === true) return undefined;
    return Math.max(Math.ceil((circuit?.probeAtMs ?? 0) - this.#clock.monotonicMs()), 0);
  }

  /** Tells `listener` how the next probe ended; what is returned calls that off. */
  onProbed(endpoint: string, listener: ProbeListener): () => void {
    const { waiters } = this.#circuits.get(endpoint) ?? this.#add(endpoint);
    waiters.add(listener);
    return () => waiters.delete(listener);
  }

  succeeded(endpoint: string): void {
    const circuit = this.#circuits.get(endpoint);
    this.#circuits.delete(endpoint);
    if (circuit !== undefined) tell(circuit, true);
  }

  failed(endpoint: string): void {
    const circuit = this.#circuits.get(endpoint) ?? this.#add(endpoint);
    const isProbe = circuit.isProbing;
    circuit.failureCount += 1;
    circuit.isProbing = false;
    circuit.probeAtMs = this.#clock.monotonicMs() + this.#limits.openMs;
    if (isProbe) tell(circuit, false);
  }

  /** The attempt ended without saying anything about the endpoint. */
  abandoned(endpoint: string): void {
    const circuit = this.#circuits.get(endpoint);
    if (circuit === undefined) return;
    const isProbe = circuit.isProbing;
    circuit.isProbing = false;
    if (isProbe) tell(circuit, undefined);
  }

  #isOpen({ failureCount }: Circuit): boolean {
    return failureCount >= this.#limits.failuresMax;
  }

  #add(endpoint: string): Circuit {
    if (this.#circuits.size >= this.#limits.endpointsMax) {
      const [[name, oldest] = []] = this.#circuits;
      this.#circuits.delete(name!);
      tell(oldest!, undefined);
    }
    const circuit = { failureCount: 0, probeAtMs: 0, isProbing: false, waiters: new Set<never>() };
    this.#circuits.set(endpoint, circuit);
    return circuit;
  }
}

function tell({ waiters }: Circuit, isUp: boolean | undefined): void {
  const told = [...waiters];
  waiters.clear();
  for (const listener of told) listener(isUp);
}
