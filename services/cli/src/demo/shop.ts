/**
 * A generated shop with something to learn in it: a user's next item depends on the recent items, on
 * their category and on the brands the user likes; popularity knows little of that.
 *
 * Pure and seeded: the same seed gives the same items and events on every machine. Every item has a few
 * companions (what people buy after it), and every user a taste: two brands and a material. A user's next
 * item is a companion of a recent item, or something to the user's taste in the category at hand or the
 * one beside it, or, rarely, anything.
 */
import type { Item } from '@nestrec/contracts';
import { createRandom, type Random } from '@nestrec/random';
import { BRANDS, DEPARTMENTS, MATERIALS, STYLES } from './shop-words.js';

export interface ShopSize {
  readonly items: number;
  readonly users: number;
  readonly eventsPerUser: readonly [least: number, most: number];
}

export const SHOP_SIZES = {
  full: { items: 2_000, users: 5_000, eventsPerUser: [6, 18] },
  small: { items: 240, users: 400, eventsPerUser: [5, 12] },
} as const satisfies Record<string, ShopSize>;

export interface ShopEvent {
  readonly eventId: string;
  readonly userId: string;
  readonly itemId: string;
  readonly type: string;
  readonly timestampMs: number;
  readonly value: null;
}

export interface Shop {
  readonly items: readonly Item[];
  /** Sorted by user, then time. */
  readonly events: readonly ShopEvent[];
}

const FIRST_EVENT_MS = Date.UTC(2026, 0, 1, 8);
const PERIOD_MS = 270 * 24 * 3_600_000;
const COMPANIONS = 4;

/** How the next item is chosen; the rest of the probability is anything at all. */
const CHOICE = { companionOfLast: 0.12, companionOfEarlier: 0.05, taste: 0.79 };
/** Of what is to the taste, how much comes from the category of the last item. */
const SAME_CATEGORY = 0.65;

interface Catalogue {
  readonly items: Item[];
  readonly categoryOf: Int32Array;
  readonly brandOf: Int32Array;
  readonly materialOf: Int32Array;
  readonly inCategory: number[][];
  readonly companions: number[][];
}

export function generateShop(size: ShopSize, seed: number): Shop {
  const random = createRandom(seed);
  const catalogue = generateCatalogue(size.items, random.fork('items'));
  const events: ShopEvent[] = [];
  const eventRandom = random.fork('events');
  for (let user = 0; user < size.users; user++) {
    events.push(...generateHistory(catalogue, user, size, eventRandom));
  }
  return { items: catalogue.items, events };
}

function pick<T>(values: readonly T[], random: Random): T {
  return values[random.int(values.length)]!;
}

function generateCatalogue(count: number, random: Random): Catalogue {
  const categories = DEPARTMENTS.flatMap((department) =>
    department.categories.map((category) => ({ department: department.name, category })),
  );
  const items: Item[] = [];
  const categoryOf = new Int32Array(count);
  const brandOf = new Int32Array(count);
  const materialOf = new Int32Array(count);
  const inCategory: number[][] = categories.map(() => []);
  const titles = new Set<string>();
  for (let i = 0; i < count; i++) {
    const c = i % categories.length;
    // A brand is at home in a third of the categories, so brand and category inform each other.
    const b = (c + 3 * random.int(Math.ceil(BRANDS.length / 3))) % BRANDS.length;
    const { department, category } = categories[c]!;
    const m = random.int(MATERIALS.length);
    const words = () => `${BRANDS[b]} ${pick(STYLES, random)} ${MATERIALS[m]} ${category}`;
    let title = words();
    for (let n = 2; titles.has(title); n++) title = `${words()} No. ${n}`;
    titles.add(title);
    categoryOf[i] = c;
    brandOf[i] = b;
    materialOf[i] = m;
    inCategory[c]!.push(i);
    items.push({
      item_id: `item-${String(i + 1).padStart(4, '0')}`,
      title,
      brand: BRANDS[b]!,
      categories: [department, category],
      available: true,
      fields: { price: Math.round(100 * (4 + 60 * random.uniform() ** 2)) / 100 },
    });
  }
  const companions = items.map((_, i) => chooseCompanions(i, categoryOf, inCategory, random));
  return { items, categoryOf, brandOf, materialOf, inCategory, companions };
}

/** One companion of the same category, the others of one sister category of the department. */
function chooseCompanions(
  item: number,
  categoryOf: Int32Array,
  inCategory: readonly number[][],
  random: Random,
): number[] {
  const own = categoryOf[item]!;
  const sister = sisterOf(own);
  return Array.from({ length: COMPANIONS }, (_, n) =>
    pick(inCategory[n === 0 ? own : sister]!, random),
  );
}

/** The next category of the same department. */
function sisterOf(category: number): number {
  const perDepartment = DEPARTMENTS[0]!.categories.length;
  const first = category - (category % perDepartment);
  return first + ((category + 1) % perDepartment);
}

interface Taste {
  readonly brands: ReadonlySet<number>;
  readonly material: number;
}

function generateHistory(
  catalogue: Catalogue,
  user: number,
  size: ShopSize,
  random: Random,
): ShopEvent[] {
  const [least, most] = size.eventsPerUser;
  const length = least + random.int(most - least + 1);
  const taste: Taste = {
    brands: new Set([random.int(BRANDS.length), random.int(BRANDS.length)]),
    material: random.int(MATERIALS.length),
  };
  const history: number[] = [random.int(size.items)];
  while (history.length < length) history.push(nextItem(catalogue, history, taste, random));
  const userId = `user-${String(user + 1).padStart(4, '0')}`;
  let timeMs = FIRST_EVENT_MS + random.int(PERIOD_MS - most * 3 * 24 * 3_600_000);
  return history.map((item, n) => {
    timeMs += 60_000 + random.int(3 * 24 * 3_600_000 - 60_000);
    return {
      eventId: `${userId}-${n + 1}`,
      userId,
      itemId: catalogue.items[item]!.item_id,
      type: 'purchase',
      timestampMs: timeMs,
      value: null,
    };
  });
}

function nextItem(
  catalogue: Catalogue,
  history: readonly number[],
  taste: Taste,
  random: Random,
): number {
  const last = history[history.length - 1]!;
  const earlier = history[Math.max(0, history.length - 2 - random.int(2))]!;
  const draw = random.uniform();
  let candidates: readonly number[];
  if (draw < CHOICE.companionOfLast) {
    candidates = catalogue.companions[last]!;
  } else if (draw < CHOICE.companionOfLast + CHOICE.companionOfEarlier) {
    candidates = catalogue.companions[earlier]!;
  } else if (draw < CHOICE.companionOfLast + CHOICE.companionOfEarlier + CHOICE.taste) {
    const own = catalogue.categoryOf[last]!;
    const category = random.uniform() < SAME_CATEGORY ? own : sisterOf(own);
    const nearby = catalogue.inCategory[category]!;
    const liked = nearby.filter(
      (item) =>
        taste.brands.has(catalogue.brandOf[item]!) || taste.material === catalogue.materialOf[item],
    );
    candidates = liked.length > 0 ? liked : nearby;
  } else {
    candidates = pick(catalogue.inCategory, random);
  }
  // People do not buy the same thing twice in this shop, as far as there is a choice.
  const fresh = candidates.filter((item) => !history.includes(item));
  return fresh.length > 0 ? pick(fresh, random) : random.int(catalogue.items.length);
}
