/**
 * Which plan finds a list, and what is tried after it if it comes back short. Pure.
 *
 * Decided by what the version offers (its indexes, and the plans that were measured when it was
 * published), the tier's wish, the number of rows, and how much of the catalogue may be shown. The last
 * plan is always the exact scan, so that a list is full wherever the catalogue can fill it.
 */
import type { Plan, TierPlan } from '@nestrec/contracts';
import type { MeasuredPlan, RetrievalFacts, StoredIndex } from '@nestrec/storage';
import { indexCanFill, type Restriction } from '../restriction.js';

/**
 * Up to so many rows the exact scan is as fast as the index (PGlite, 64 dimensions: 1.4 against 0.9 ms
 * at 1,000 rows, 3.3 against 0.7 at 5,000), and it is exact.
 */
export const EXACT_MAX_ROWS = 1_000;

/** What an index is asked for where nothing was measured. */
const DEFAULT_EF_SEARCH = 100;
const DEFAULT_SHORTLIST = 150;

/** pgvector's limit of hnsw.ef_search. */
const MAX_EF_SEARCH = 1_000;

/** Plans are measured at recall@20; a longer list needs a shortlist that is longer in proportion. */
const MEASURED_AT = 20;

/** Candidates by inner product that similar items are chosen from, as a multiple of k and at least. */
const SIMILAR_SHORTLIST = { perItem: 4, least: 200 };

/** What a version offers. */
export interface Catalogue {
  /** Ascending. */
  readonly sizes: readonly number[];
  readonly rows: number;
  readonly facts: RetrievalFacts;
}

export interface PlanRequest {
  readonly dim: number;
  readonly k: number;
  readonly plan: TierPlan;
  readonly restriction: Restriction;
  /** Ranked by the angle in place of the inner product. */
  readonly similar: boolean;
}

/** One search to run. */
export interface PlannedSearch {
  readonly plan: Plan;
  readonly reason: string;
  /** null: every row is read. */
  readonly by: {
    readonly index: StoredIndex;
    readonly shortlist: number;
    readonly efSearch: number;
    readonly refuse: 'index' | 'list';
  } | null;
}

/** What to run, in order, until a list is full; never empty, and exact at the end. */
export function planSearch(
  catalogue: Catalogue,
  request: PlanRequest,
): [PlannedSearch, ...PlannedSearch[]] {
  const { rows } = catalogue;
  const wish = request.plan;
  if (wish === 'exact') return [exact('the tier asks for it')];
  if (wish === 'auto' && rows <= EXACT_MAX_ROWS) {
    return [exact(`${rows} rows: reading all of them is as fast as an index`)];
  }
  if (wish !== 'bound' && !indexCanFill(request.restriction, request.k, rows)) {
    return [exact('so few items pass the filter that reading them all is cheaper')];
  }
  const last = exact('the plan before left the list too short');
  if (wish === 'bound' && !request.similar) return planBound(catalogue, request);
  const chosen = chooseIndex(catalogue, request);
  if (chosen === null) return [exact(`no index serves ${request.dim} dimensions`)];
  const { measured, index, reason } = chosen;
  const plan = index.dim === request.dim && index.kind !== 'bit' ? 'prefix' : 'staged';
  const by = (refuse: 'index' | 'list') => ({ index, refuse, ...extent(request, plan, measured) });
  const search = (refuse: 'index' | 'list') => ({ plan, reason, by: by(refuse) }) as const;
  // In order of the index nothing more is read than is needed; a shortlist is read as a whole.
  if (plan === 'prefix' && !request.similar) return [search('index'), last];
  // What a filter refuses is many; what a user has seen is few, and is dropped from the list.
  if (request.restriction.filter !== undefined) return [search('index'), last];
  return [search('list'), search('index'), last];
}

function exact(reason: string): PlannedSearch {
  return { plan: 'exact', reason, by: null };
}

function planBound(
  catalogue: Catalogue,
  request: PlanRequest,
): [PlannedSearch, ...PlannedSearch[]] {
  const { facts } = catalogue;
  const index = facts.indexes.findLast(({ dim, kind }) => dim < request.dim && kind !== 'bit');
  if (!facts.norms) return [exact('the version has no norms to prove a bound with')];
  if (index === undefined) return [exact(`no smaller prefix than ${request.dim} has an index`)];
  const measured = facts.plans.find(
    (plan) => plan.dim === request.dim && plan.plan === 'bound' && plan.index === index.name,
  );
  const refuse = request.restriction.filter === undefined ? 'list' : 'index';
  const by = { index, refuse, ...extent(request, 'staged', measured) } as const;
  return [{ plan: 'bound', reason: 'the tier asks for a proven list', by }];
}

interface Choice {
  readonly index: StoredIndex;
  readonly measured: MeasuredPlan | undefined;
  readonly reason: string;
}

/** The plan that was measured for the size, as wished; else an index that can serve it. */
function chooseIndex({ facts }: Catalogue, { dim, plan: wish }: PlanRequest): Choice | null {
  const byName = new Map(facts.indexes.map((index) => [index.name, index]));
  const best = measuredByIndex(facts, dim, wish);
  if (best !== undefined) {
    const of = `recall@20 ${best.recallAt20.toFixed(3)}, p50 ${best.p50Ms.toFixed(1)} ms when published`;
    const why =
      best.plan === wish ? 'the tier asks for it' : 'the fastest that was measured at this size';
    return { index: byName.get(best.index!)!, measured: best, reason: `${why} (${of})` };
  }
  // Where publishing ended with the exact scan, an index that it did not take finds too little.
  if (facts.plans.some((plan) => plan.dim === dim && plan.plan === 'exact')) return null;
  // A shortlist that nobody measured may miss anything: only for who asks for it.
  const own = facts.indexes.find((index) => index.dim === dim && index.kind !== 'bit');
  const smaller = facts.indexes.findLast((index) => index.dim < dim && index.kind !== 'bit');
  const index = wish === 'staged' ? (smaller ?? own) : own;
  if (index === undefined) return null;
  return {
    index,
    measured: undefined,
    reason: `an index of ${index.dim} dimensions, not measured`,
  };
}

/** The plan by an index that was measured for a size: as wished, else the fastest. */
function measuredByIndex(
  { indexes, plans }: Omit<RetrievalFacts, 'norms'>,
  dim: number,
  wish: TierPlan,
): MeasuredPlan | undefined {
  const measured = plans
    .filter((plan) => plan.dim === dim && (plan.plan === 'prefix' || plan.plan === 'staged'))
    .filter((plan) => indexes.some(({ name }) => name === plan.index))
    .sort((a, b) => a.p50Ms - b.p50Ms);
  return measured.find(({ plan }) => plan === wish) ?? measured[0];
}

/** What was measured of how a tier's lists are found; undefined: nobody measured it at this size. */
export function measuredPlanOf(
  facts: Omit<RetrievalFacts, 'norms'>,
  dim: number,
  wish: TierPlan,
): MeasuredPlan | undefined {
  const own = facts.plans.find((measured) => measured.dim === dim && measured.plan === wish);
  const scan = facts.plans.find((measured) => measured.dim === dim && measured.plan === 'exact');
  if (wish === 'exact' || wish === 'bound') return own ?? scan;
  return measuredByIndex(facts, dim, wish) ?? scan;
}

/** How far an index is walked. */
function extent(
  { k, similar }: PlanRequest,
  plan: 'prefix' | 'staged',
  measured: Pick<MeasuredPlan, 'shortlist' | 'efSearch'> | undefined,
): { shortlist: number; efSearch: number } {
  const longer = Math.max(1, k / MEASURED_AT);
  const staged = Math.ceil((measured?.shortlist ?? DEFAULT_SHORTLIST) * longer);
  const alike = similar ? Math.max(SIMILAR_SHORTLIST.least, SIMILAR_SHORTLIST.perItem * k) : 0;
  const shortlist = Math.max(plan === 'prefix' ? listLimit(k) : staged, alike);
  const efSearch = Math.max(measured?.efSearch ?? DEFAULT_EF_SEARCH, shortlist);
  return { shortlist, efSearch: Math.min(efSearch, MAX_EF_SEARCH) };
}

/** Found beyond k at least, so that items whose shown scores tie at the edge are cut by id, not by the index. */
const SPARE = 6;

/** Rows that a search returns; rounded up, so that few texts of statements serve all k. */
export function listLimit(k: number): number {
  return Math.ceil((k + SPARE) / 16) * 16;
}
