/**
 * What is tried, in order, so that a size can be served by a plan: which index, built how, walked how far.
 * Pure; the measurements behind the numbers are in docs/experiments.md and decision 0024.
 */
import type { IndexKind, IndexMetric, Plan } from '@nestrec/contracts';
import { MAX_DIM, type IndexForm } from '@nestrec/storage';
import { BUILD_LADDER, type BuildSettings, type ServedSize } from './prefix-indexes.js';

/** What the index of shortlists is made of, where the default does not fit. */
export interface ShortlistIndex {
  /** Size of its prefix. */
  readonly dim?: number;
  readonly kind?: IndexKind;
  /** Default: inner product; hamming for bits. */
  readonly metric?: IndexMetric;
  readonly build?: BuildSettings;
}

/** The forms that a setting can name; `halfvec` is the default. */
export const SHORTLIST_FORMS = ['halfvec', 'vector', 'bit', 'reduced_l2'] as const;
export type ShortlistForm = (typeof SHORTLIST_FORMS)[number];

/** What a named form is made of; its size and its build are the usual ones. */
export function shortlistIndexOf(form: ShortlistForm): ShortlistIndex {
  return form === 'reduced_l2' ? { kind: 'halfvec', metric: form } : { kind: form };
}

/** How far an index is walked. */
export interface Walk {
  /** Rows taken and re-ranked; null: as many as the list is long. */
  readonly shortlist: number | null;
  readonly efSearch: number;
}

export interface PlanOption {
  readonly plan: Plan;
  /** null: the exact scan. */
  readonly form: Omit<IndexForm, 'maxNorm'> | null;
  readonly builds: readonly BuildSettings[];
  /** Cheapest first. */
  readonly walks: readonly Walk[];
}

/** Up to this size its own index is small, and a shortlist by a smaller one would have to be long. */
const OWN_INDEX_MAX_DIM = 64;

/** Beyond it a prefix gives hardly a better shortlist, but a greater index. */
const SHORTLIST_MAX_DIM = 256;

/** A shortlist is re-ranked, so its index may be sparse: half the neighbours, halves of numbers. */
const SHORTLIST_BUILDS: readonly BuildSettings[] = [
  { m: 8, efConstruction: 200 },
  { m: 16, efConstruction: 200 },
];

/** Where it is not known how far an index has to be walked. */
export const WIDEST_WALK = 400;
/** A walk's time goes by its width, so a step is a quarter or so: trying one costs a fraction of a second. */
export const PREFIX_WALKS: readonly Walk[] = [
  ...[32, 40, 50, 60, 80, 100, 125, 160, 200, 280, WIDEST_WALK],
].map((efSearch) => ({ shortlist: null, efSearch }));
const shortlistOf = (rows: number): Walk => ({ shortlist: rows, efSearch: rows });
const STAGED_WALKS = [60, 80, 100, 125, 160, 200, 250, 300, 400, 600].map(shortlistOf);
/** Its bound proves the list whatever the shortlist, which has to be good and no more. */
const BOUND_WALK = shortlistOf(100);

const EXACT: PlanOption = { plan: 'exact', form: null, builds: [], walks: [] };

/** The options for a size, best first; the last is what is refused where it finds too little. */
export function planOptions(
  sizes: readonly number[],
  { dim, plan }: ServedSize,
  shortlist: ShortlistIndex = {},
): [PlanOption, ...PlanOption[]] {
  const prefix = prefixOption(dim);
  // Bits are of all coordinates: nothing would be left over to bound.
  const usable = plan === 'bound' && shortlist.kind === 'bit' ? {} : shortlist;
  const staged = stagedOption(sizes, dim, usable);
  switch (plan) {
    case 'exact':
      return [EXACT];
    case 'prefix':
      return [prefix];
    case 'staged':
      return [staged ?? prefix];
    case 'bound':
      return [staged === null ? EXACT : { ...staged, plan: 'bound', walks: [BOUND_WALK] }];
    case 'auto':
      return dim <= OWN_INDEX_MAX_DIM || staged === null ? [prefix] : [staged, prefix];
  }
}

/**
 * Halves of numbers find as much as whole ones, in three quarters of the bytes and of the time; what is
 * found is scored by the whole ones.
 */
function prefixOption(dim: number): PlanOption {
  if (dim > MAX_DIM.halfvec) return EXACT;
  const form = { kind: 'halfvec', metric: 'inner_product', dim } as const;
  return { plan: 'prefix', form, builds: BUILD_LADDER, walks: PREFIX_WALKS };
}

/** null where there is no smaller size. */
function stagedOption(
  sizes: readonly number[],
  dim: number,
  { dim: wished, kind = 'halfvec', metric, build }: ShortlistIndex,
): PlanOption | null {
  // Bits of all coordinates say more than bits of half of them, and are few.
  const limit = kind === 'bit' ? dim : Math.min(SHORTLIST_MAX_DIM, dim / 2);
  const prefix = wished ?? sizes.findLast((size) => size <= limit) ?? sizes.find((s) => s < dim);
  if (prefix === undefined || prefix > dim) return null;
  const form = {
    ...{ kind, dim: prefix },
    metric: metric ?? (kind === 'bit' ? ('hamming' as const) : ('inner_product' as const)),
  };
  const builds = build === undefined ? SHORTLIST_BUILDS : [build];
  return { plan: 'staged', form, builds, walks: STAGED_WALKS };
}
