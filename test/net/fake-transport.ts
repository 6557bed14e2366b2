import type { PeerInfo, Transport, WrittenCallback } from '../../src/net/transport.ts';

const PEER: PeerInfo = {
  remoteAddress: '127.0.0.1',
  remotePort: 50_000,
  localAddress: '127.0.0.1',
  localPort: 5_672,
  isLoopback: true,
  isEncrypted: false,
};

/** A transport whose kernel takes bytes only when the test says so. */
export class FakeTransport implements Transport {
  readonly peer = PEER;
  readonly writes: Buffer[] = [];
  readonly calls: string[] = [];
  bufferedBytes = 0;
  #callbacks: WrittenCallback[] = [];

  write(bytes: Buffer, onWritten?: WrittenCallback): boolean {
    this.calls.push(`write ${bytes.length}`);
    this.writes.push(bytes);
    this.bufferedBytes += bytes.length;
    if (onWritten) this.#callbacks.push(onWritten);
    return this.bufferedBytes < 16_384;
  }

  /** The kernel takes everything, or fails with `error`. */
  complete(error?: Error): void {
    const callbacks = this.#callbacks;
    this.#callbacks = [];
    this.bufferedBytes = 0;
    for (const callback of callbacks) callback(error);
  }

  /** Everything written so far, as a copy. */
  get stream(): Buffer {
    return Buffer.concat(this.writes);
  }

  cork(): void {
    this.calls.push('cork');
  }

  uncork(): void {
    this.calls.push('uncork');
  }

  pause(): void {
    this.calls.push('pause');
  }

  resume(): void {
    this.calls.push('resume');
  }

  end(): void {
    this.calls.push('end');
  }

  destroy(): void {
    this.calls.push('destroy');
  }
}
