/** A small shop to train on: users who walk through the items in order, so that a second of training learns something. */
import type { Item } from '@nestrec/contracts';
import type { Database } from '@nestrec/database';
import { insertInteractions, upsertItems } from '@nestrec/storage';

export interface SmallShop {
  readonly users: number;
  /** Items that users touch. */
  readonly items: number;
  /** Items of the catalogue; more than `items`: the others are new, and embedded when a version is published. */
  readonly catalogue?: number;
  readonly eventsPerUser: number;
}

export const SMALL_SHOP: SmallShop = { users: 60, items: 20, eventsPerUser: 8 };

export async function fillShop(db: Database, shop: SmallShop = SMALL_SHOP): Promise<void> {
  const items = Array.from({ length: shop.catalogue ?? shop.items }, (_, i): Item => ({
    item_id: `i${i}`,
    available: true,
    title: `Blue thing ${i % 5} of kind ${i}`,
  }));
  await upsertItems(db, items);
  for (let user = 0; user < shop.users; user++) {
    await insertInteractions(
      db,
      Array.from({ length: shop.eventsPerUser }, (_, n) => ({
        ...{ eventId: `e${user}-${n}`, userId: `u${user}`, itemId: `i${(user + n) % shop.items}` },
        ...{ type: 'view', value: null },
        timestampMs: Date.UTC(2026, 0, 1) + user * 1_000 + n * 86_400_000,
      })),
    );
  }
}

/** Options of `nestrec retrain` that take about a second. */
export const FAST_TRAINING = ['--preset', 'fast', '--sizes', '4,8', '--epochs', '3'];
