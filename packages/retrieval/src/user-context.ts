/**
 * What the model knows of a user at the moment of a request: the stored state where it is this model's
 * and complete, otherwise one rebuilt from the newest interactions. Never writes: ingest does.
 */
import type { ServedBy } from '@nestrec/contracts';
import type { Queryable } from '@nestrec/database';
import { InvalidState, isError } from '@nestrec/errors';
import type { Logger } from '@nestrec/runtime';
import { recentInteractions, type StoredUserState as StoredState } from '@nestrec/storage';
import { decodeState, exitState, readReplay, type Cell, type UserState } from '@nestrec/streaming';
import type { PastEvent } from './because.js';
import { readItemVectors, refreshItemVectors } from './item-vectors.js';
import type { PublishedModel } from './published-models.js';
import type { StateReader } from './state-reader.js';

export interface UserContext {
  /** What the state is of, and is asked by: the model's cell, or that of an early exit. */
  readonly cell: Cell;
  readonly state: UserState;
  /** Why the state says nothing about this user; null where it does. */
  readonly fallback: ServedBy['fallback'];
  readonly eventsInState: number;
  /** Time of the newest event in the state, epoch ms; null where it is empty. */
  readonly stateAtMs: number | null;
  /** The events that the state is the fold of, oldest first; null where nobody asked for them. */
  readonly history: readonly PastEvent[] | null;
}

export interface UserContextOptions {
  readonly db: Queryable;
  readonly states: StateReader;
  readonly model: PublishedModel;
  readonly logger: Logger;
  /** Make the state from the events and give these too; the stored one does not know them. */
  readonly withHistory?: boolean | undefined;
  /** Depth that the user is served at: all of the model's blocks, or those of an early exit. */
  readonly blocks: number;
}

export async function loadUserContext(
  userId: string,
  { db, states, model, logger, withHistory = false, blocks }: UserContextOptions,
): Promise<UserContext> {
  const cell = model.cell.exit(blocks);
  if (withHistory) return rebuild(db, model, cell, userId);
  const stored = await states.read(userId);
  return (stored && useStored(model, cell, stored, logger)) ?? rebuild(db, model, cell, userId);
}

/** null where the stored state is another model's, misses events, is out of date or cannot be read. */
function useStored(
  model: PublishedModel,
  cell: Cell,
  stored: StoredState,
  logger: Logger,
): UserContext | null {
  if (stored.modelVersion !== model.version || stored.vectorsStale) return null;
  // A state without events may have been left by an erasure: whether the user is known, events say.
  if (stored.unknownEvents > 0 || stored.eventsInState === 0) return null;
  try {
    return {
      cell,
      state: exitState(decodeState(stored.state, model.cell), cell.blocks),
      fallback: null,
      eventsInState: stored.eventsInState,
      stateAtMs: stored.newestTimestampMs,
      history: null,
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

/** An early exit forgets sooner than the whole model, and steps fewer blocks. */
async function rebuild(
  db: Queryable,
  model: PublishedModel,
  cell: Cell,
  userId: string,
): Promise<UserContext> {
  await refreshItemVectors(db, model);
  const replay = await readReplay(replayEventsOf(model, cell), {
    loadNewest: (limit) => recentInteractions(db, userId, limit),
    loadVectors: (itemIds) => readItemVectors(db, model, itemIds),
  });
  const { items, events, newest, lastKnown } = replay;
  return {
    cell,
    state: cell.fold(items),
    fallback: newest === null ? 'unknown_user' : lastKnown === null ? 'no_known_items' : null,
    eventsInState: items.length,
    stateAtMs: lastKnown?.timestampMs ?? null,
    history: events.map((event, i) => ({ ...event, vector: items[i]! })),
  };
}

/** How many newest events make a state of the cell: the manifest's word for the whole model. */
export const replayEventsOf = ({ manifest, cell: whole }: PublishedModel, cell: Cell): number =>
  cell === whole ? manifest.replayEvents : Math.min(manifest.replayEvents, cell.replayEvents);
