import type { PeerInfo, Transport, TransportHandler } from '../../src/net/transport.ts';

const PEER: PeerInfo = {
  remoteAddress: '127.0.0.1',
  remotePort: 50_000,
  localAddress: '127.0.0.1',
  localPort: 5_672,
  isLoopback: true,
  isEncrypted: false,
};

/** A transport whose other end is a test. */
export class PipeTransport implements Transport {
  readonly peer: PeerInfo;
  handler: TransportHandler | undefined;
  #chunks: Buffer[];
  /** Sent by the test while nobody reads. */
  #unread: Buffer[];
  /** Bytes the "kernel" has not taken; set by a test that plays a slow reader. */
  bufferedBytes: number;
  isStalled: boolean;
  isPaused: boolean;
  isEnded: boolean;
  isDestroyed: boolean;

  constructor(peer: Partial<PeerInfo> = {}) {
    this.peer = { ...PEER, ...peer };
    this.handler = undefined;
    this.#chunks = [];
    this.#unread = [];
    this.bufferedBytes = 0;
    this.isStalled = false;
    this.isPaused = false;
    this.isEnded = false;
    this.isDestroyed = false;
  }

  /** The test's end sends; what is not read waits in the "kernel". */
  receive(bytes: Buffer): void {
    const chunk = Buffer.from(bytes);
    if (this.isPaused) this.#unread.push(chunk);
    else if (!this.isEnded && !this.isDestroyed) this.handler!.onChunk(chunk);
  }

  write(bytes: Buffer, onWritten?: () => void): boolean {
    if (this.isEnded || this.isDestroyed) return true;
    // Slabs are used again once they are written.
    this.#chunks.push(Buffer.from(bytes));
    if (this.isStalled) {
      this.bufferedBytes += bytes.length;
      return false;
    }
    onWritten?.();
    return true;
  }

  /** What was written and not yet taken away. */
  get received(): Buffer {
    if (this.#chunks.length !== 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0]!;
  }

  set received(left: Buffer) {
    this.#chunks = [left];
  }

  cork(): void {}

  uncork(): void {}

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    queueMicrotask(() => {
      for (const chunk of this.#unread.splice(0)) this.receive(chunk);
    });
  }

  end(): void {
    this.isEnded = true;
  }

  destroy(): void {
    this.isDestroyed = true;
  }
}
