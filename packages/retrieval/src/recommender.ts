/**
 * From a user, a session or an item, and a dimension, to the ranked list of an answer.
 *
 * Each call takes one model and keeps it: state, query, item vectors and the version in the answer belong
 * together. Lists are full (k items) whenever the catalogue has k items that may be shown.
 */
import {
  servedBlocks,
  type RankedItem,
  type RecommendationsAnswer,
  type TierPlan,
} from '@nestrec/contracts';
import { sqlState, type Queryable } from '@nestrec/database';
import { excerpt, ItemNotFound } from '@nestrec/errors';
import type { Logger } from '@nestrec/runtime';
import { findCandidates, restrict } from './candidates.js';
import { createCatalogueSample, type CatalogueSample } from './catalogue-sample.js';
import { decodeCursor, NOTHING_SHOWN, type ShownItems } from './cursor.js';
import { resolveDim, type DimRequest } from './dimensions.js';
import { readItemVectors, readServedVector } from './item-vectors.js';
import type { ListOptions } from './list-options.js';
import { pageOf } from './page.js';
import type { PublishedModel, PublishedModels } from './published-models.js';
import { rankCandidates } from './ranking.js';
import type { Exclusion } from './restriction.js';
import { createSearchReader } from './search-reader.js';
import { searchBySimilarity, type Found, type SearchSource } from './search.js';
import { createStateReader } from './state-reader.js';
import { loadUserContext, replayEventsOf, type UserContext } from './user-context.js';

export interface ListRequest extends DimRequest {
  readonly k: number;
  /** How the list is found; undefined: the planner's choice. */
  readonly plan?: TierPlan;
  /** Say in the answer how the list was found. */
  readonly explain?: boolean | undefined;
  /**
   * Blocks of the early exit that the tier takes; null or undefined: all. A model that was not trained to answer there,
   * or not at this size, answers at full depth.
   */
  readonly exitBlocks?: number | null | undefined;
  /** Sizes less than would be served, because of overload (`with-step-down.ts`). */
  readonly stepsDown?: number;
}

export interface UserRequest extends ListRequest, ListOptions {
  readonly userId: string;
  /** Leave out what the user interacted with. Default true. */
  readonly excludeSeen?: boolean;
}

export interface SessionRequest extends ListRequest, ListOptions {
  /** Oldest first. */
  readonly items: readonly string[];
  /** Leave the session's own items out. Default true. */
  readonly excludeSeen?: boolean;
}

export interface SimilarRequest extends ListRequest, Pick<ListOptions, 'filter' | 'exclude'> {
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

const UNDEFINED_TABLE = '42P01';

/** All calls throw NoPublishedModel, DimensionNotAllowed, InvalidRequest (dim, cursor), DatabaseUnavailable. */
export function createRecommender({ db, models, logger }: RecommenderOptions): Recommender {
  const sample = createCatalogueSample(db, logger);
  const states = createStateReader(db);
  const searches = createSearchReader(db);
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
        const shown = shownBefore(request);
        const { userId, excludeSeen = true, because: withHistory } = request;
        const blocks = servedBlocks(model.manifest.config, dim, request.exitBlocks);
        const from = { db, states, model, logger, withHistory, blocks };
        const context = await loadUserContext(userId, from);
        const exclusion: Exclusion =
          excludeSeen && context.fallback !== 'unknown_user'
            ? { kind: 'seen', userId }
            : { kind: 'none' };
        return answer({ db, searches, model, sample, context, dim, exclusion, shown }, request);
      }),
    recommendForSession: (request) =>
      withModel(async (model) => {
        const dim = resolveDim(model.cell.sizes, request);
        const shown = shownBefore(request);
        const blocks = servedBlocks(model.manifest.config, dim, request.exitBlocks);
        const context = await foldSession(db, model, blocks, request.items);
        const exclusion: Exclusion =
          (request.excludeSeen ?? true) && request.items.length > 0
            ? { kind: 'items', itemIds: [...new Set(request.items)] }
            : { kind: 'none' };
        return answer({ db, searches, model, sample, context, dim, exclusion, shown }, request);
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
        const exclusion: Exclusion = { kind: 'items', itemIds: [itemId] };
        const restriction = await restrict({ model, sample, exclusion, ...request });
        const prefix = vector.subarray(0, dim);
        const { plan, explain } = request;
        const wanted = { vector: prefix, k, restriction, plan, explain };
        const found = await searchBySimilarity({ db, searches }, model, wanted);
        const context = { cell: null, fallback: null, eventsInState: 0, stateAtMs: null };
        const items = rankCandidates(found.candidates, k);
        return toAnswer(model, { items }, found, dim, context, false);
      }),
  };
}

/** The state of a history that nobody stored; items that the model does not know are left out. */
async function foldSession(
  db: Queryable,
  model: PublishedModel,
  blocks: number,
  items: readonly string[],
): Promise<UserContext> {
  const cell = model.cell.exit(blocks);
  const vectors = await readItemVectors(db, model, [...new Set(items)]);
  const known = items.filter((id) => vectors.has(id)).slice(-replayEventsOf(model, cell));
  const history = known.map((itemId) => ({
    ...{ itemId, eventId: null, timestampMs: null, vector: vectors.get(itemId)! },
  }));
  const state = cell.fold(history.map(({ vector }) => vector));
  const fallback = known.length > 0 ? null : items.length > 0 ? 'no_known_items' : 'unknown_user';
  return { cell, state, fallback, eventsInState: known.length, stateAtMs: null, history };
}

interface AnswerContext extends SearchSource {
  readonly model: PublishedModel;
  readonly sample: CatalogueSample;
  readonly context: UserContext;
  readonly dim: number;
  readonly exclusion: Exclusion;
  readonly shown: ShownItems;
}

const shownBefore = ({ cursor }: ListOptions): ShownItems =>
  cursor === undefined ? NOTHING_SHOWN : decodeCursor(cursor);

/** context -> candidates (found, boosted) -> page (diverse, paged, explained) -> answer. */
async function answer(
  about: AnswerContext,
  request: ListRequest & ListOptions,
): Promise<RecommendationsAnswer> {
  const { model, context, dim, shown } = about;
  const { k } = request;
  const found = await findCandidates({
    ...about,
    k,
    shown: shown.count,
    options: request,
    how: request,
  });
  const { history, cell } = context;
  const page = await pageOf(found.candidates, { ...about, k, options: request, history, cell });
  return toAnswer(model, page, found, dim, context, context.fallback === null);
}

function toAnswer(
  model: PublishedModel,
  page: { readonly items: RankedItem[]; readonly next?: string | null },
  found: Found,
  dim: number,
  context: Pick<UserContext, 'fallback' | 'eventsInState' | 'stateAtMs'> & {
    readonly cell: Pick<UserContext['cell'], 'blocks'> | null;
  },
  personalised: boolean,
): RecommendationsAnswer {
  return {
    ...page,
    served_by: {
      model_version: model.version,
      dim,
      blocks: context.cell?.blocks ?? null,
      plan: found.plan,
      personalised,
      fallback: context.fallback,
      events_in_state: context.eventsInState,
      state_at: context.stateAtMs === null ? null : new Date(context.stateAtMs).toISOString(),
      degraded: null,
    },
    ...(found.explain === undefined ? {} : { explain: found.explain }),
  };
}
