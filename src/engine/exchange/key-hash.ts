/** A 32-bit hash of text, the same on every machine and in every version: it decides placement. */

/** FNV-1a over UTF-16 code units with a murmur3 finaliser, which spreads short, similar keys. */
export function hashText(text: string, seed = 0): number {
  let hash = (0x811c9dc5 ^ seed) | 0;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return mixHash(hash);
}

/** The murmur3 finaliser: every input bit changes each output bit with probability 1/2. */
export function mixHash(value: number): number {
  let hash = value | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
