/**
 * The outbound side of one connection: everything a turn has to say, in one write.
 *
 * Writers reserve room and put bytes straight into a slab; `flush` hands the slab to the socket
 * and forgets it. The slab is the socket's until the write callback gives it back to the pool.
 *
 *     pieces:  [ slab | own piece (large body) | slab ]   sealed, in stream order
 *     slab:    | frame | frame | frame |    free     |    open, being written
 *                                      ^ #used
 *
 * Invariants:
 * 1. Bytes leave in the order of `reserve` and `append`, each once.
 * 2. A slab handed to the socket is never written again before its callback.
 * 3. Between flushes with nothing pending no slab is held.
 * 4. It is in the flush set whenever something is pending.
 * 5. `reserve` and `append` never fail: after `close` the bytes are dropped at the next flush.
 *
 * It does not bound itself: `isFull` is what consumers' credit and publishers' reading obey, and
 * what one turn may add above the mark is bounded by the turn's own limits. Rejected: a ring of
 * fixed size (a message that does not fit needs a second path), and a write per frame (16 times
 * slower: see docs/PERFORMANCE.md).
 */
import type { FlushSet } from './flush-set.ts';
import { LARGE_SLAB_BYTES, type Slab, SMALL_SLAB_BYTES } from './slab-pool.ts';
import type { Transport, WrittenCallback } from './transport.ts';

/** From here on the connection counts as full: 16 large slabs, about 1 ms of a 10 Gbit/s link. */
export const OUTBOUND_HIGH_WATER_BYTES = 1024 * 1024;
/** A piece of this size goes out without a copy: the extra write costs less than copying it. */
export const OWN_PIECE_BYTES = 16 * 1024;
/** Up to here a byte loop beats `Buffer.copy` (measured: they meet at about 44 bytes). */
const LOOP_COPY_BYTES = 40;

const NO_BUFFER = Buffer.alloc(0);

interface Piece {
  readonly bytes: Buffer;
  /** Gives the piece's slab back; undefined for memory that is not from the pool. */
  readonly release: WrittenCallback | undefined;
}

/** Collects the bytes of one connection; see above. */
export class Outbound {
  /** The memory of the last `reserve`; read it again after each. */
  slab: Buffer;
  /** True while it waits in the flush set; written by the flush set only. */
  isListed: boolean;
  readonly #transport: Transport;
  readonly #flushSet: FlushSet;
  readonly #pieces: Piece[];
  #open: Slab | undefined;
  #used: number;
  #sealedBytes: number;
  /** Bytes in the socket when last looked: never below the true figure. */
  #socketBytes: number;
  /** The last flush was a large one: start the next turn with a large slab. */
  #expectsMuch: boolean;
  #isClosed: boolean;

  constructor(transport: Transport, flushSet: FlushSet) {
    this.slab = NO_BUFFER;
    this.isListed = false;
    this.#transport = transport;
    this.#flushSet = flushSet;
    this.#pieces = [];
    this.#open = undefined;
    this.#used = 0;
    this.#sealedBytes = 0;
    this.#socketBytes = 0;
    this.#expectsMuch = false;
    this.#isClosed = false;
  }

  /**
   * Makes room for `byteCount` contiguous bytes and returns their offset in `slab`. They are part
   * of the stream from now on: all of them must be written before the turn ends.
   */
  reserve(byteCount: number): number {
    const offset = this.#used;
    const end = offset + byteCount;
    if (end <= this.slab.length) {
      this.#used = end;
      return offset;
    }
    return this.#reserveElsewhere(byteCount);
  }

  /**
   * Appends `bytes[start, end)`. Pieces of `OWN_PIECE_BYTES` and more are sent from where they
   * lie: the caller guarantees that nobody modifies them. Smaller ones are borrowed and copied.
   */
  append(bytes: Buffer, start: number, end: number): void {
    const byteCount = end - start;
    if (byteCount >= OWN_PIECE_BYTES) {
      this.#appendOwnPiece(bytes.subarray(start, end));
      return;
    }
    let target = this.reserve(byteCount);
    const slab = this.slab;
    if (byteCount > LOOP_COPY_BYTES) {
      bytes.copy(slab, target, start, end);
      return;
    }
    for (let source = start; source < end; source += 1) {
      slab[target] = bytes[source]!;
      target += 1;
    }
  }

  /** Bytes on their way: pending here and buffered in the socket. */
  get bufferedBytes(): number {
    return this.#sealedBytes + this.#used + this.#transport.bufferedBytes;
  }

  /**
   * At or above the high-water mark. After it was true the handler's `onDrain` follows: what
   * makes it true is far more than a socket takes without asking its writer to wait.
   */
  get isFull(): boolean {
    const pendingBytes = this.#sealedBytes + this.#used;
    if (pendingBytes + this.#socketBytes < OUTBOUND_HIGH_WATER_BYTES) return false;
    this.#socketBytes = this.#transport.bufferedBytes;
    return pendingBytes + this.#socketBytes >= OUTBOUND_HIGH_WATER_BYTES;
  }

  /** Hands everything pending to the socket, in one system call. */
  flush(): void {
    if (this.#isClosed) {
      this.#drop();
      return;
    }
    const pendingBytes = this.#sealedBytes + this.#used;
    if (pendingBytes === 0) return;
    this.#expectsMuch = pendingBytes > SMALL_SLAB_BYTES;
    const transport = this.#transport;
    if (this.#pieces.length === 0) {
      const open = this.#open!;
      transport.write(open.buffer.subarray(0, this.#used), open.release);
      this.#forgetOpen();
    } else {
      this.#seal();
      this.#writePieces();
    }
    this.#socketBytes = transport.bufferedBytes;
  }

  /** Drops what is pending and whatever is still appended. */
  close(): void {
    this.#isClosed = true;
    this.#drop();
  }

  #reserveElsewhere(byteCount: number): number {
    const open = this.#open;
    const used = this.#used;
    if (open === undefined) {
      this.#flushSet.add(this);
      this.#take(this.#expectsMuch ? Math.max(byteCount, LARGE_SLAB_BYTES) : byteCount);
    } else if (used <= SMALL_SLAB_BYTES) {
      // Take the little there is along, so that the turn still ends in one contiguous write.
      this.#take(Math.max(used + byteCount, LARGE_SLAB_BYTES));
      open.buffer.copy(this.slab, 0, 0, used);
      open.release();
      this.#used = used + byteCount;
      return used;
    } else {
      this.#seal();
      this.#take(Math.max(byteCount, LARGE_SLAB_BYTES));
    }
    this.#used = byteCount;
    return 0;
  }

  #appendOwnPiece(bytes: Buffer): void {
    this.#flushSet.add(this);
    this.#seal();
    this.#pieces.push({ bytes, release: undefined });
    this.#sealedBytes += bytes.length;
  }

  #take(byteCount: number): void {
    const open = this.#flushSet.pool.take(byteCount);
    this.#open = open;
    this.slab = open.buffer;
  }

  #seal(): void {
    const open = this.#open;
    if (open === undefined) return;
    const bytes = open.buffer.subarray(0, this.#used);
    this.#pieces.push({ bytes, release: open.release });
    this.#sealedBytes += bytes.length;
    this.#forgetOpen();
  }

  #forgetOpen(): void {
    this.#open = undefined;
    this.slab = NO_BUFFER;
    this.#used = 0;
  }

  #writePieces(): void {
    const transport = this.#transport;
    transport.cork();
    for (const piece of this.#pieces) transport.write(piece.bytes, piece.release);
    transport.uncork();
    this.#pieces.length = 0;
    this.#sealedBytes = 0;
  }

  #drop(): void {
    this.#seal();
    for (const piece of this.#pieces) piece.release?.();
    this.#pieces.length = 0;
    this.#sealedBytes = 0;
  }
}
