/**
 * PUBACK, PUBREC, PUBREL and PUBCOMP of one connection: four bytes each, gathered while a chunk is
 * read and written at its end in one call. Slabs are reused once the kernel has taken them.
 */
import type { Socket } from 'node:net';

const FIRST_SLAB_BYTES = 256;
const SLAB_BYTES = 16_384;

export class AckSlab {
  readonly #socket: Socket;
  readonly #free: Buffer[];
  #slab: Buffer;
  #length: number;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#free = [];
    this.#slab = Buffer.allocUnsafeSlow(FIRST_SLAB_BYTES);
    this.#length = 0;
  }

  /** `type` is one of the four; PUBREL gets its flags. */
  add(type: number, idHigh: number, idLow: number): void {
    if (this.#length === this.#slab.length) this.flush();
    const slab = this.#slab;
    const at = this.#length;
    slab[at] = (type << 4) | (type === 6 ? 2 : 0);
    slab[at + 1] = 2;
    slab[at + 2] = idHigh;
    slab[at + 3] = idLow;
    this.#length = at + 4;
  }

  flush(): void {
    if (this.#length === 0) return;
    const slab = this.#slab;
    this.#socket.write(slab.subarray(0, this.#length), () => {
      if (slab.length === SLAB_BYTES) this.#free.push(slab);
    });
    this.#slab = this.#free.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES);
    this.#length = 0;
  }
}
