import { manualClock } from '@nestrec/runtime';
import { describe, expect, it } from 'vitest';
import { limitedAddress } from './address.js';
import { createAddressLimiter } from './address-limiter.js';

const WINDOW_MS = 10_000;

const create = (limit: number, maxAddresses?: number) => {
  const clock = manualClock(WINDOW_MS * 5);
  const options = maxAddresses === undefined ? {} : { maxAddresses };
  return {
    clock,
    limiter: createAddressLimiter({ clock, limit, windowMs: WINDOW_MS, ...options }),
  };
};

describe('createAddressLimiter', () => {
  it('lets an address fail so often in a window, and says how long to wait', () => {
    const { clock, limiter } = create(2);
    clock.advance(4_000);
    expect([1, 2, 3].map(() => limiter.take('192.0.2.1'))).toEqual([0, 0, 6_000]);
    expect(limiter.take('192.0.2.2')).toBe(0);
    clock.advance(6_000);
    expect(limiter.take('192.0.2.1')).toBe(0);
  });

  it('takes back what turned out to be no failure', () => {
    const { limiter } = create(1);
    for (let n = 0; n < 10; n++) {
      expect(limiter.take('192.0.2.1')).toBe(0);
      limiter.giveBack('192.0.2.1');
    }
    expect(limiter.size).toBe(0);
  });

  it('keeps no more addresses than it may: those beyond the first share one count', () => {
    const { limiter } = create(5, 100);
    let refused = 0;
    for (let n = 0; n < 1_000; n++) if (limiter.take(`10.0.${n >> 8}.${n & 255}`) > 0) refused++;
    expect(limiter.size).toBe(101);
    expect(refused).toBe(1_000 - 100 - 5);
    expect(limiter.take('10.0.0.0')).toBe(0);
  });
});

describe('limitedAddress', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::9', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['', ''],
  ])('counts %s as %s', (address, counted) => {
    expect(limitedAddress(address)).toBe(counted);
  });
});
