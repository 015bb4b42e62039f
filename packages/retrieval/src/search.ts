/**
 * Finds the best items of one published model for a query vector, always as many as asked for where the
 * catalogue has them: by the planned search, and where that came back short, by the next, at last by the
 * exact scan.
 */
import type { Explain, Plan, TierPlan } from '@nestrec/contracts';
import type { Queryable } from '@nestrec/database';
import {
  boundSearch,
  exactSearch,
  indexSearch,
  type Statement,
  type VectorSearch,
} from '@nestrec/storage';
import { explainSearch } from './plans/explain.js';
import { listLimit, planSearch, type PlannedSearch } from './plans/planner.js';
import type { PublishedModel } from './published-models.js';
import type { Candidate } from './ranking.js';
import { servable, type Restriction } from './restriction.js';
import { readSearch, type SearchReader } from './search-reader.js';
import { popularItems } from './search-sql.js';

export { EXACT_MAX_ROWS } from './plans/planner.js';

export interface Found {
  readonly candidates: readonly Candidate[];
  readonly plan: Plan;
  /** Where it was asked for. */
  readonly explain?: Explain;
}

/** Where to find it. */
export interface SearchSource {
  readonly db: Queryable;
  readonly searches: SearchReader;
}

/** What to find: the `k` best for a vector whose length is the nested size to search at. */
export interface Wanted {
  readonly vector: Float32Array;
  readonly k: number;
  readonly restriction: Restriction;
  /** Default: the planner's choice. */
  readonly plan?: TierPlan | undefined;
  /** Say how it was found; the search is run once more for that. */
  readonly explain?: boolean | undefined;
}

/** Items of greatest inner product with the vector, a query. */
export function searchByScore(
  from: SearchSource,
  model: PublishedModel,
  wanted: Wanted,
): Promise<Found> {
  return find(from, model, wanted, 'inner_product');
}

/**
 * Items whose prefixes point where the vector, a prefix of an item's, points. By an index they are chosen
 * among those of greatest inner product.
 */
export function searchBySimilarity(
  from: SearchSource,
  model: PublishedModel,
  wanted: Wanted,
): Promise<Found> {
  return find(from, model, wanted, 'cosine');
}

/** Items with most interactions; fewer than `limit` where fewer have any. */
export async function mostPopular(
  db: Queryable,
  model: PublishedModel,
  limit: number,
  restriction: Restriction,
): Promise<Candidate[]> {
  return readSearch(db, popularItems(model.table, limit, restriction));
}

async function find(
  { db, searches }: SearchSource,
  model: PublishedModel,
  wanted: Wanted,
  measure: 'inner_product' | 'cosine',
): Promise<Found> {
  const { vector, k, restriction, plan = 'auto' } = wanted;
  const search: VectorSearch = {
    ...{ table: model.table, fullDim: model.cell.dim, query: vector, measure },
    limit: listLimit(k),
    condition: (access, parameters) => servable(restriction, access, parameters),
  };
  const planned = planSearch(
    { sizes: model.cell.sizes, rows: model.rows, facts: model.facts },
    { dim: vector.length, k, plan, restriction, similar: measure === 'cosine' },
  );
  // Filters make any number of texts; a connection would keep the plan of each.
  const prepare = restriction.filter === undefined;
  const tried: Explain['tried'] = [];
  for (const attempt of planned) {
    const statement = statementOf(search, attempt, model.cell.sizes);
    const startedMs = performance.now();
    const isWalk = attempt.plan === 'prefix' || attempt.plan === 'staged';
    const candidates =
      prepare && isWalk
        ? await searches.read(statement)
        : await readSearch(db, statement, { prepare });
    const searchMs = performance.now() - startedMs;
    if (candidates.length < k && attempt !== planned.at(-1)) {
      const why = `${candidates.length} of ${k} items may be shown`;
      tried.push({ plan: attempt.plan, found: candidates.length, why });
      continue;
    }
    if (wanted.explain !== true) return { candidates, plan: attempt.plan };
    const about = { wanted: plan, dim: vector.length, attempt, tried, searchMs };
    const explain = await explainSearch(db, statement, about);
    return { candidates, plan: attempt.plan, explain };
  }
  throw new Error('unreachable: the last plan answers');
}

function statementOf(
  search: VectorSearch,
  { plan, by }: PlannedSearch,
  sizes: readonly number[],
): Statement {
  if (by === null) return exactSearch(search);
  const { index, ...rest } = by;
  const walk = { form: index, ...rest };
  if (plan === 'bound') return boundSearch(search, { by: walk, dim: index.dim, sizes });
  return indexSearch(search, walk);
}
