/** A prefetch count and how much of it is taken (basic.qos). */
export class PrefetchLimit {
  /** Deliveries that may be unsettled at once; 0 = no limit. */
  max: number;
  /** Deliveries that are. */
  used: number;

  constructor(max: number) {
    this.max = max;
    this.used = 0;
  }

  get hasRoom(): boolean {
    return this.max === 0 || this.used < this.max;
  }

  /** Gives one back; true when that ended a shortage. */
  release(): boolean {
    this.used -= 1;
    return this.used === this.max - 1;
  }
}
