import { isIP, type LookupFunction } from 'node:net';
import type { AddressGuard } from './address-guard.ts';
import type { HostResolver } from './host-resolver.ts';
import { LookupFailure } from './post-failure.ts';

/** A lookup for one request, and its end. */
export interface PinnedLookup {
  readonly lookup: LookupFunction;
  cancel(): void;
}

/**
 * The lookup that `connect` uses: what it answers is checked, and is what is connected to. Nothing
 * resolves the name again, so an answer that changes in between (DNS rebinding) changes nothing.
 */
export function pinnedLookup(guard: AddressGuard, resolver: HostResolver): PinnedLookup {
  let cancel: () => void = () => undefined;
  return {
    lookup: (name, options, callback) => {
      const isTrusted = guard.isAllowedName(name);
      cancel = resolver.resolve(name, isTrusted, (addresses) => {
        const refusals = new Set<string>();
        const usable = addresses.filter((address) => {
          const refusal = isTrusted ? undefined : guard.refusalOf(address);
          if (refusal !== undefined) refusals.add(refusal);
          return refusal === undefined;
        });
        const [first] = usable;
        if (first === undefined) {
          callback(lookupFailure(refusals), '');
        } else if (options.all === true) {
          callback(
            null,
            usable.map((address) => ({ address, family: isIP(address) })),
          );
        } else {
          callback(null, first, isIP(first));
        }
      });
    },
    cancel: () => cancel(),
  };
}

function lookupFailure(refusals: ReadonlySet<string>): LookupFailure {
  if (refusals.size === 0) return new LookupFailure('name', 'name has no address');
  return new LookupFailure('address', refusalText([...refusals].join(', ')));
}

/** The detail of a refused address. */
export function refusalText(what: string): string {
  return `address not allowed (${what})`;
}
