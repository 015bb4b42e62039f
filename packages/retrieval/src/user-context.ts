/**
 * What the model knows of a user at the moment of a request: the stored state where it is this model's
 * and complete, otherwise one rebuilt from the newest interactions. Never writes: ingest does.
 */
import type { ServedBy } from '@nestrec/contracts';
import type { Queryable } from '@nestrec/database';
import { InvalidState, isError } from '@nestrec/errors';
import type { Logger } from '@nestrec/runtime';
import {
  getUserState,
  recentInteractions,
  type StoredUserState as StoredState,
} from '@nestrec/storage';
import { decodeState, rebuildState, type UserState } from '@nestrec/streaming';
import { readItemVectors, refreshItemVectors } from './item-vectors.js';
import type { PublishedModel } from './published-models.js';

export interface UserContext {
  readonly state: UserState;
  /** Why the state says nothing about this user; null where it does. */
  readonly fallback: ServedBy['fallback'];
  readonly eventsInState: number;
  /** Time of the newest event in the state, epoch ms; null where it is empty. */
  readonly stateAtMs: number | null;
}

export async function loadUserContext(
  db: Queryable,
  model: PublishedModel,
  userId: string,
  logger: Logger,
): Promise<UserContext> {
  const stored = await getUserState(db, userId);
  return (stored && useStored(model, stored, logger)) ?? rebuild(db, model, userId);
}

/** null where the stored state is another model's, misses events, is out of date or cannot be read. */
function useStored(model: PublishedModel, stored: StoredState, logger: Logger): UserContext | null {
  if (stored.modelVersion !== model.version || stored.vectorsStale) return null;
  // A state without events may have been left by an erasure: whether the user is known, events say.
  if (stored.unknownEvents > 0 || stored.eventsInState === 0) return null;
  try {
    return {
      state: decodeState(stored.state, model.cell),
      fallback: null,
      eventsInState: stored.eventsInState,
      stateAtMs: stored.newestTimestampMs,
    };
  } catch (error) {
    if (!isError(error, InvalidState)) throw error;
    logger.error(
      { err: error, version: model.version },
      'a stored state is refused; rebuilt for now',
    );
    return null;
  }
}

async function rebuild(db: Queryable, model: PublishedModel, userId: string): Promise<UserContext> {
  await refreshItemVectors(db, model);
  const rebuilt = await rebuildState(model.cell, model.manifest.replayEvents, {
    loadNewest: (limit) => recentInteractions(db, userId, limit),
    loadVectors: (itemIds) => readItemVectors(db, model, itemIds),
  });
  return {
    state: rebuilt.state,
    fallback:
      rebuilt.newest === null
        ? 'unknown_user'
        : rebuilt.lastKnown === null
          ? 'no_known_items'
          : null,
    eventsInState: rebuilt.state.events,
    stateAtMs: rebuilt.lastKnown?.timestampMs ?? null,
  };
}
