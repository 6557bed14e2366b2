/**
 * The byte-stream port: what a protocol sees of a connection, whatever carries it (TCP, TLS,
 * WebSocket, a test). Calls never block and never throw for an ordinary network failure: a dead
 * peer shows as one `onClosed`.
 */

/** Who is at the other end. Behind a PROXY-protocol balancer this is the real client. */
export interface PeerInfo {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  /** The real peer is on this machine: 127.0.0.0/8, ::1 or their v4-mapped form. */
  readonly isLoopback: boolean;
  readonly isEncrypted: boolean;
  /** Name in the verified client certificate, for SASL EXTERNAL; absent when there is none. */
  readonly certificateSubject?: string;
}

/** What a protocol does with a connection. Called from the event loop, never re-entrantly. */
export interface TransportHandler {
  /** Bytes arrived. `chunk` is borrowed: valid until the call returns. */
  onChunk(chunk: Buffer): void;
  /**
   * Everything that had to wait in this process is with the kernel. It follows every write that
   * returned false, and may come without one.
   */
  onDrain(): void;
  /** The last call. `error` is undefined when either side closed in order. */
  onClosed(error: Error | undefined): void;
}

/** Runs once a write is with the kernel, or with an error once the connection died first. */
export type WrittenCallback = (error?: Error | null) => void;

/** One connection, as its protocol drives it. */
export interface Transport {
  readonly peer: PeerInfo;
  /**
   * Sends. `bytes` is owned by the transport until `onWritten` runs, for good without one.
   * After `end` or `destroy` the call is ignored and `onWritten` never runs.
   *
   * @returns false when the caller should wait for `onDrain` before it sends much more
   */
  write(bytes: Buffer, onWritten?: WrittenCallback): boolean;
  /** Bytes taken by `write` that the kernel has not taken yet. */
  readonly bufferedBytes: number;
  /** Holds writes back until the matching `uncork`, which sends them in one system call. */
  cork(): void;
  uncork(): void;
  /** Stops reading; at most one more chunk is kept in memory. */
  pause(): void;
  resume(): void;
  /** Sends what is buffered, then FIN. Nothing is handed to `onChunk` any more. */
  end(): void;
  /** Drops the connection and what is buffered. */
  destroy(): void;
  /** The peer has logged in. Only transports that trust a stranger with less have it. */
  admitted?(): void;
}

/** Takes a new connection and says who handles it. */
export type AcceptTransport = (transport: Transport) => TransportHandler;
