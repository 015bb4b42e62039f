/**
 * How often one address may fail to show a valid key. In this process only: a stranger must not be able to
 * make the database write. Windows are fixed and forgotten whole, so the memory is bounded: addresses beyond
 * `maxAddresses` in one window share one count.
 */
import type { Clock } from '@nestrec/runtime';
import { limitedAddress } from './address.js';

export interface AddressLimiter {
  /** Counts one failure to come; the wait until the window ends where there were too many, else 0. */
  take(address: string): number;
  /** Takes one back: the key was valid. */
  giveBack(address: string): void;
  /** Addresses of the present window. */
  readonly size: number;
}

export interface AddressLimiterOptions {
  readonly clock: Clock;
  /** Failures that one address may have in a window. */
  readonly limit: number;
  readonly windowMs: number;
  readonly maxAddresses?: number;
}

const MAX_ADDRESSES = 100_000;
/** No address is empty. */
const ALL_OTHERS = '';

export function createAddressLimiter(options: AddressLimiterOptions): AddressLimiter {
  const { clock, limit, windowMs, maxAddresses = MAX_ADDRESSES } = options;
  const counts = new Map<string, number>();
  let index = 0;

  const nameOf = (address: string): string => {
    const now = Math.floor(clock.now() / windowMs);
    if (now !== index) {
      index = now;
      counts.clear();
    }
    const name = limitedAddress(address);
    return counts.has(name) || counts.size < maxAddresses ? name : ALL_OTHERS;
  };

  return {
    take: (address) => {
      const name = nameOf(address);
      const count = counts.get(name) ?? 0;
      if (count >= limit) return (index + 1) * windowMs - clock.now();
      counts.set(name, count + 1);
      return 0;
    },
    giveBack: (address) => {
      const name = nameOf(address);
      const count = counts.get(name) ?? 0;
      if (count > 1) counts.set(name, count - 1);
      else counts.delete(name);
    },
    get size() {
      return counts.size;
    },
  };
}
