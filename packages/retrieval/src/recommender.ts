/**
 * From a user, a session or an item, and a dimension, to the ranked list of an answer.
 *
 * Each call takes one model and keeps it: state, query, item vectors and the version in the answer belong
 * together. Lists are full (k items) whenever the catalogue has k items that may be shown.
 */
import type { RecommendationsAnswer, TierPlan } from '@nestrec/contracts';
import { sqlState, type Queryable } from '@nestrec/database';
import { excerpt, ItemNotFound } from '@nestrec/errors';
import type { Logger } from '@nestrec/runtime';
import { resolveDim, type DimRequest } from './dimensions.js';
import { readItemVectors, readServedVector } from './item-vectors.js';
import type { PublishedModel, PublishedModels } from './published-models.js';
import { fuseRanks, rankCandidates } from './ranking.js';
import type { Restriction } from './restriction.js';
import { mostPopular, searchByScore, searchBySimilarity, type Found } from './search.js';
import { loadUserContext, type UserContext } from './user-context.js';

export interface ListRequest extends DimRequest {
  readonly k: number;
  /** How the list is found; undefined: the planner's choice. */
  readonly plan?: TierPlan;
}

export interface UserRequest extends ListRequest {
  readonly userId: string;
  /** Leave out what the user interacted with. Default true. */
  readonly excludeSeen?: boolean;
}

export interface SessionRequest extends ListRequest {
  /** Oldest first. */
  readonly items: readonly string[];
  /** Leave the session's own items out. Default true. */
  readonly excludeSeen?: boolean;
}

export interface SimilarRequest extends ListRequest {
  readonly itemId: string;
}

export interface Recommender {
  recommendForUser(request: UserRequest): Promise<RecommendationsAnswer>;
  recommendForSession(request: SessionRequest): Promise<RecommendationsAnswer>;
  /**
   * Items whose vectors point the same way (cosine of the prefixes). Not the inner product: that would
   * put the items of great norm, which the model made popular, beside every item.
   * @throws ItemNotFound for an item that the published model does not hold
   */
  similarItems(request: SimilarRequest): Promise<RecommendationsAnswer>;
}

export interface RecommenderOptions {
  readonly db: Queryable;
  readonly models: PublishedModels;
  readonly logger: Logger;
}

/** Depth of the two lists that an unknown user's answer is fused from: beyond k, for its later ranks. */
const FUSION_DEPTH = 100;

const UNDEFINED_TABLE = '42P01';

/** All calls throw NoPublishedModel, DimensionNotAllowed, InvalidRequest (dim), DatabaseUnavailable. */
export function createRecommender({ db, models, logger }: RecommenderOptions): Recommender {
  /** Once more with the newest model where this one's vectors were dropped under the request. */
  const withModel = async <T>(act: (model: PublishedModel) => Promise<T>): Promise<T> => {
    const model = await models.current();
    try {
      return await act(model);
    } catch (error) {
      if (sqlState(error) !== UNDEFINED_TABLE) throw error;
      const next = await models.refresh();
      if (next.version === model.version) throw error;
      return act(next);
    }
  };
  return {
    recommendForUser: (request) =>
      withModel(async (model) => {
        const dim = resolveDim(model.cell.sizes, request);
        const context = await loadUserContext(db, model, request.userId, logger);
        const restriction: Restriction = {
          exclusion:
            (request.excludeSeen ?? true) && context.fallback !== 'unknown_user'
              ? { kind: 'seen', userId: request.userId }
              : { kind: 'none' },
        };
        return answer(db, model, context, dim, request.k, restriction);
      }),
    recommendForSession: (request) =>
      withModel(async (model) => {
        const dim = resolveDim(model.cell.sizes, request);
        const context = await foldSession(db, model, request.items);
        const restriction: Restriction = {
          exclusion:
            (request.excludeSeen ?? true) && request.items.length > 0
              ? { kind: 'items', itemIds: [...new Set(request.items)] }
              : { kind: 'none' },
        };
        return answer(db, model, context, dim, request.k, restriction);
      }),
    similarItems: (request) =>
      withModel(async (model) => {
        const dim = resolveDim(model.cell.sizes, request);
        const { itemId, k } = request;
        const vector = await readServedVector(db, model, itemId);
        if (vector === null) {
          throw new ItemNotFound({
            detail: `item ${excerpt(itemId)} has no vector in version ${model.version}; PUT it with a title or features first`,
          });
        }
        const restriction: Restriction = { exclusion: { kind: 'items', itemIds: [itemId] } };
        const prefix = vector.subarray(0, dim);
        const found = await searchBySimilarity(db, model, { vector: prefix, k, restriction });
        const context = { fallback: null, eventsInState: 0, stateAtMs: null };
        return toAnswer(model, found, dim, k, context, false);
      }),
  };
}

/** The state of a history that nobody stored; items that the model does not know are left out. */
async function foldSession(
  db: Queryable,
  model: PublishedModel,
  items: readonly string[],
): Promise<UserContext> {
  const vectors = await readItemVectors(db, model, [...new Set(items)]);
  const known = items.filter((itemId) => vectors.has(itemId)).slice(-model.manifest.replayEvents);
  const state = model.cell.fold(known.map((itemId) => vectors.get(itemId)!));
  const fallback = known.length > 0 ? null : items.length > 0 ? 'no_known_items' : 'unknown_user';
  return { state, fallback, eventsInState: known.length, stateAtMs: null };
}

/**
 * The best items for a state. Where the state is empty, the model's query for an empty history knows what
 * people begin with, and popularity what they want now: their two lists are fused by rank.
 */
async function answer(
  db: Queryable,
  model: PublishedModel,
  context: UserContext,
  dim: number,
  k: number,
  restriction: Restriction,
): Promise<RecommendationsAnswer> {
  const vector = model.cell.query(context.state, dim);
  if (context.fallback === null) {
    const found = await searchByScore(db, model, { vector, k, restriction });
    return toAnswer(model, found, dim, k, context, true);
  }
  const depth = Math.max(k, FUSION_DEPTH);
  const [byModel, popular] = await Promise.all([
    searchByScore(db, model, { vector, k: depth, restriction }),
    mostPopular(db, model, depth, restriction),
  ]);
  const ordered = rankCandidates(byModel.candidates, depth).map(({ item_id, score }) => ({
    itemId: item_id,
    score,
  }));
  const fused: Found = { candidates: fuseRanks([ordered, popular]), plan: byModel.plan };
  return toAnswer(model, fused, dim, k, context, false);
}

function toAnswer(
  model: PublishedModel,
  found: Found,
  dim: number,
  k: number,
  context: Pick<UserContext, 'fallback' | 'eventsInState' | 'stateAtMs'>,
  personalised: boolean,
): RecommendationsAnswer {
  return {
    items: rankCandidates(found.candidates, k),
    served_by: {
      model_version: model.version,
      dim,
      plan: found.plan,
      personalised,
      fallback: context.fallback,
      events_in_state: context.eventsInState,
      state_at: context.stateAtMs === null ? null : new Date(context.stateAtMs).toISOString(),
      degraded: null,
    },
  };
}
