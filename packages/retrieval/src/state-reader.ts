/**
 * Reads user states for requests that come at the same moment with one statement: under load
 * they share the round trip to the database, and what a statement costs by itself.
 */
import DataLoader from 'dataloader';
import type { Queryable } from '@nestrec/database';
import { getUserStates, type StoredUserState } from '@nestrec/storage';

export interface StateReader {
  /** The stored state as it is now; null where there is none. */
  read(userId: string): Promise<StoredUserState | null>;
}

/** States in one statement. */
const MAX_BATCH = 64;

export function createStateReader(db: Queryable): StateReader {
  const loader = new DataLoader<string, StoredUserState | null>(
    async (userIds) => {
      const states = await getUserStates(db, [...new Set(userIds)]);
      return userIds.map((userId) => states.get(userId) ?? null);
    },
    {
      // A state is as new as its request: nothing is kept from one to the next.
      cache: false,
      maxBatchSize: MAX_BATCH,
      // After all the sockets of this turn of the event loop were read; alone, a request waits for nobody.
      batchScheduleFn: (send) => void setImmediate(send),
    },
  );
  return { read: (userId) => loader.load(userId) };
}
