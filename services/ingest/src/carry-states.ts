/** Brings states after what a batch stored or erased, by the published model where it is loaded. */
import type { Database, Queryable } from '@nestrec/database';
import type { EventLog } from '@nestrec/event-log';
import type { Clock } from '@nestrec/runtime';
import {
  deleteUserStates,
  getPublishedVectors,
  recentInteractionsOfMany,
  type Interaction,
  type ItemVectorCache,
} from '@nestrec/storage';
import type { ModelCache } from './model-source.js';
import { NO_UPDATE, updateStates, type CarriedEvents } from './update-states.js';

export interface BatchContext {
  readonly db: Database;
  readonly log: Pick<EventLog, 'topic' | 'erase'>;
  readonly clock: Clock;
  readonly models: ModelCache;
  readonly vectors: ItemVectorCache;
}

/** Thrown inside the transaction: the published model has to be loaded first, outside of it. */
export class ModelWanted extends Error {
  constructor(readonly version: string) {
    super(`model ${version} is not loaded`);
  }
}

/**
 * Carries newly stored events into their users' states. Without a model no item is known, and none counts as an
 * unknown event. @throws ModelWanted
 */
export async function carryIntoStates(
  tx: Queryable,
  context: BatchContext,
  stored: readonly Interaction[],
): Promise<CarriedEvents> {
  if (stored.length === 0) return NO_UPDATE;
  const published = await getPublishedVectors(tx);
  const model = published === null ? null : context.models.peek(published.version);
  if (model === undefined) throw new ModelWanted(published!.version);
  if (model === null) {
    // States that would now be behind must not stay: whoever needs one rebuilds it.
    await deleteUserStates(tx, [...new Set(stored.map((event) => event.userId))]);
    return { ...NO_UPDATE, unknownItems: [...new Set(stored.map((event) => event.itemId))] };
  }
  const { vectorsVersion, revision: vectorsRevision } = published!;
  await context.vectors.catchUp(tx, vectorsVersion, vectorsRevision);
  const vectors = (itemIds: readonly string[]) => context.vectors.load(tx, vectorsVersion, itemIds);
  return updateStates({ tx, model, vectorsRevision, vectors }, stored);
}

/**
 * Makes the states of users anew whose rows were removed; returns how many. A user without a row is rebuilt
 * from the newest interactions by the event that is carried in, here the newest of those that are left.
 */
export async function rebuildStates(
  tx: Queryable,
  context: BatchContext,
  userIds: readonly string[],
): Promise<number> {
  if (userIds.length === 0) return 0;
  const newest = await recentInteractionsOfMany(tx, userIds, 1);
  const { rebuilt } = await carryIntoStates(tx, context, [...newest.values()].flat());
  return rebuilt;
}
