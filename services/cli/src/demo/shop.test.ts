import { describe, expect, it } from 'vitest';
import { generateShop, SHOP_SIZES } from './shop.js';

describe('generateShop', () => {
  const shop = generateShop(SHOP_SIZES.small, 7);

  it('is the same for the same seed and another for another', () => {
    expect(generateShop(SHOP_SIZES.small, 7)).toEqual(shop);
    expect(generateShop(SHOP_SIZES.small, 8).events).not.toEqual(shop.events);
  });

  it('gives every item a title of its own, a brand and two categories', () => {
    expect(new Set(shop.items.map((item) => item.title)).size).toBe(SHOP_SIZES.small.items);
    expect(shop.items.every((item) => item.brand && item.categories?.length === 2)).toBe(true);
  });

  it('gives every event an id of its own and rising times within a user', () => {
    expect(new Set(shop.events.map((event) => event.eventId)).size).toBe(shop.events.length);
    for (let i = 1; i < shop.events.length; i++) {
      const [a, b] = [shop.events[i - 1]!, shop.events[i]!];
      if (a.userId === b.userId) expect(b.timestampMs).toBeGreaterThan(a.timestampMs);
    }
  });

  it('has no item so popular that popularity would do well', () => {
    const counts = new Map<string, number>();
    for (const { itemId } of shop.events) counts.set(itemId, (counts.get(itemId) ?? 0) + 1);
    const top10 = [...counts.values()].sort((a, b) => b - a).slice(0, 10);
    expect(top10.reduce((a, b) => a + b) / shop.events.length).toBeLessThan(0.15);
  });
});
