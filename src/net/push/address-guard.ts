/**
 * Which addresses outgoing requests may reach. A subscription's endpoint is chosen by a tenant; the
 * gateway stands inside a network the tenant cannot reach, so that whatever is not plainly a public
 * address of somebody else is refused:
 *
 *     IPv4   everything that the IANA special-purpose registry lists, multicast, class E, and
 *            168.63.129.16, at which a cloud serves its machines
 *     IPv6   everything outside 2000::/3 (loopback, link-local with its zones, ULA, multicast,
 *            v4-mapped, NAT64), and inside it what tunnels IPv4 or is reserved
 *     both   the addresses of this machine's own interfaces
 *
 * The operator lifts that for blocks of addresses, and for host names, whose addresses then do not
 * matter. What is checked is always an address about to be connected to, never a name's earlier
 * resolution.
 */
import { BlockList, isIP } from 'node:net';

/** A block of addresses: `10.0.0.0` and 8. */
export interface AddressBlock {
  readonly address: string;
  readonly prefixBits: number;
}

/** What the operator allows besides public addresses. */
export interface AddressRules {
  readonly allowedBlocks: readonly AddressBlock[];
  /** Lower case, without a dot at the end. */
  readonly allowedNames: readonly string[];
  /** Addresses of this machine; asked for each connection, as interfaces come and go. */
  readonly ownAddresses: () => readonly string[];
}

/** IPv4: RFC 6890 and the registry it founded. */
const REFUSED_V4: readonly (readonly [address: string, prefixBits: number, what: string])[] = [
  ['0.0.0.0', 8, 'this network'],
  ['10.0.0.0', 8, 'private'],
  ['100.64.0.0', 10, 'shared by carriers'],
  ['127.0.0.0', 8, 'loopback'],
  ['169.254.0.0', 16, 'link-local'],
  ['172.16.0.0', 12, 'private'],
  ['192.0.0.0', 24, 'protocol assignments'],
  ['192.0.2.0', 24, 'documentation'],
  ['192.88.99.0', 24, '6to4 relay'],
  ['192.168.0.0', 16, 'private'],
  ['198.18.0.0', 15, 'benchmarks'],
  ['198.51.100.0', 24, 'documentation'],
  ['203.0.113.0', 24, 'documentation'],
  ['224.0.0.0', 4, 'multicast'],
  ['240.0.0.0', 4, 'reserved'],
  ['168.63.129.16', 32, 'platform service'],
];

/** IPv6 inside 2000::/3; the rest is refused as a whole. */
const REFUSED_V6: readonly (readonly [address: string, prefixBits: number, what: string])[] = [
  ['2001::', 23, 'protocol assignments'],
  ['2001:db8::', 32, 'documentation'],
  ['2002::', 16, '6to4'],
  ['3fff::', 20, 'documentation'],
];

type Family = 'ipv4' | 'ipv6';

interface NamedBlocks {
  readonly blocks: BlockList;
  readonly what: string;
}

/** Says which addresses are refused, and why. */
export class AddressGuard {
  readonly #allowed: BlockList;
  readonly #allowedNames: ReadonlySet<string>;
  readonly #refused: Readonly<Record<Family, readonly NamedBlocks[]>>;
  readonly #global: BlockList;
  readonly #ownAddresses: () => readonly string[];

  constructor({ allowedBlocks, allowedNames, ownAddresses }: AddressRules) {
    this.#allowed = new BlockList();
    for (const { address, prefixBits } of allowedBlocks) {
      this.#allowed.addSubnet(address, prefixBits, familyOf(address));
    }
    this.#allowedNames = new Set(allowedNames);
    this.#refused = { ipv4: namedBlocks(REFUSED_V4), ipv6: namedBlocks(REFUSED_V6) };
    this.#global = new BlockList();
    this.#global.addSubnet('2000::', 3, 'ipv6');
    this.#ownAddresses = ownAddresses;
  }

  /** True when the operator vouches for `name`, lower case: its addresses are not checked. */
  isAllowedName(name: string): boolean {
    return this.#allowedNames.has(name);
  }

  /** Why `address` must not be connected to; undefined when it may. */
  refusalOf(address: string): string | undefined {
    // A zone names an interface: only link-local addresses have one.
    if (isIP(address) === 0 || address.includes('%')) return 'not a plain address';
    const family = familyOf(address);
    if (this.#allowed.check(address, family)) return undefined;
    const named = this.#refused[family].find(({ blocks }) => blocks.check(address, family));
    if (named !== undefined) return named.what;
    if (family === 'ipv6' && !this.#global.check(address, 'ipv6')) return 'not global unicast';
    return this.#isOwn(address, family) ? 'this machine' : undefined;
  }

  #isOwn(address: string, family: Family): boolean {
    const own = new BlockList();
    for (const candidate of this.#ownAddresses()) {
      const plain = candidate.split('%', 1)[0]!;
      if (isIP(plain) !== 0) own.addAddress(plain, familyOf(plain));
    }
    return own.check(address, family);
  }
}

function familyOf(address: string): Family {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}

function namedBlocks(rows: typeof REFUSED_V4): readonly NamedBlocks[] {
  return rows.map(([address, prefixBits, what]) => {
    const blocks = new BlockList();
    blocks.addSubnet(address, prefixBits, familyOf(address));
    return { blocks, what };
  });
}
