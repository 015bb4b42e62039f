/**
 * The items that a list is made from, with the scores that it is ordered by: the best for a state, fused
 * with popularity where the state says nothing, and boosted.
 */
import { boostScores, raisedFilter } from './boosts.js';
import type { CatalogueSample } from './catalogue-sample.js';
import { readItemFields } from './item-fields.js';
import { poolDepth, type ListOptions } from './list-options.js';
import type { PublishedModel } from './published-models.js';
import { fuseRanks, rankCandidates } from './ranking.js';
import type { Exclusion, Restriction } from './restriction.js';
import {
  EXACT_MAX_ROWS,
  mostPopular,
  searchByScore,
  type Found,
  type SearchSource,
  type Wanted,
} from './search.js';
import type { UserContext } from './user-context.js';

export interface CandidateSearch extends SearchSource {
  readonly model: PublishedModel;
  readonly sample: CatalogueSample;
  readonly context: UserContext;
  readonly dim: number;
  readonly k: number;
  /** Items of earlier pages: so many more are found. */
  readonly shown: number;
  readonly exclusion: Exclusion;
  readonly options: ListOptions;
  /** How the list is found, and whether the answer says so. */
  readonly how: Pick<Wanted, 'plan' | 'explain'>;
}

/** Depth of the two lists that an unknown user's answer is fused from: beyond k, for its later ranks. */
const FUSION_DEPTH = 100;

/** In no particular order. */
export async function findCandidates(search: CandidateSearch): Promise<Found> {
  const { model, options, context, dim, k, shown } = search;
  const depth = poolDepth(options, k, shown);
  const restriction = await restrict({ ...search, ...options });
  const found =
    context.fallback === null
      ? await searchByScore(search, model, {
          vector: context.cell.query(context.state, dim),
          k: depth,
          restriction,
          ...howOf(search),
        })
      : await fuse(search, depth, restriction);
  const { boosts = [] } = options;
  return boosts.length === 0 ? found : boosted(search, found);
}

/**
 * The best items for a state that is empty: the model's query for an empty history knows what people begin
 * with, and popularity what they want now. Their two lists are fused by rank.
 */
async function fuse(
  search: CandidateSearch,
  atLeast: number,
  restriction: Restriction,
): Promise<Found> {
  const { db, model, context, dim } = search;
  const depth = Math.max(atLeast, FUSION_DEPTH);
  const vector = context.cell.query(context.state, dim);
  const [byModel, popular] = await Promise.all([
    searchByScore(search, model, { vector, k: depth, restriction, ...howOf(search) }),
    mostPopular(db, model, depth, restriction),
  ]);
  const ordered = rankCandidates(byModel.candidates, depth).map(({ item_id, score }) => ({
    itemId: item_id,
    score,
  }));
  return { ...byModel, candidates: fuseRanks([ordered, popular]) };
}

/**
 * After boosts. Items that a boost raises may stand far below the others before it, so the best of those
 * are looked for by themselves: the list is then exact for one raising boost (decision 0025).
 */
async function boosted(search: CandidateSearch, found: Found): Promise<Found> {
  const { db, model, context, dim, k, shown, options } = search;
  const boosts = options.boosts ?? [];
  const byId = new Map(found.candidates.map((candidate) => [candidate.itemId, candidate]));
  const raised = raisedFilter(boosts);
  if (raised !== null && context.fallback === null) {
    const filter = options.filter === undefined ? raised : { and: [options.filter, raised] };
    const restriction = await restrict({ ...search, ...options, filter });
    const vector = context.cell.query(context.state, dim);
    const more = await searchByScore(search, model, {
      vector,
      k: k + shown,
      restriction,
      plan: search.how.plan,
    });
    for (const candidate of more.candidates) byId.set(candidate.itemId, candidate);
  }
  const fields = await readItemFields(db, [...byId.keys()]);
  const kind = context.fallback === null ? 'logit' : 'weight';
  return { ...found, candidates: boostScores([...byId.values()], boosts, fields, kind) };
}

const howOf = ({ how: { plan, explain } }: CandidateSearch) => ({ plan, explain });

export interface Restricted extends Pick<ListOptions, 'filter' | 'exclude'> {
  readonly model: PublishedModel;
  readonly sample: CatalogueSample;
  readonly exclusion: Exclusion;
}

/** What a list may hold, with an estimate of how much that is where it is of use. */
export async function restrict({
  model,
  sample,
  exclusion,
  exclude,
  filter,
}: Restricted): Promise<Restriction> {
  if (filter === undefined) return { exclusion, exclude };
  // Small catalogues are read whole anyway.
  if (model.rows <= EXACT_MAX_ROWS) return { exclusion, exclude, filter };
  return { exclusion, exclude, filter, share: await sample.shareOf(filter, model.rows) };
}
