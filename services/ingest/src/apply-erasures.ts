/**
 * Applies erasures that follow one another in the log: what they remove, the tombstones that keep it
 * away, and a receipt for each. Within the transaction of the batch.
 *
 * Between two events the order of erasures does not matter, so all of one run are applied together; what
 * several of them would have removed counts for the first.
 */
import type { LogErasure, LogEraseEvent, LogEraseUser } from '@nestrec/contracts';
import type { Queryable } from '@nestrec/database';
import {
  appliedErasures,
  eraseEvents,
  eraseUsers,
  eventKeyText,
  recordErasures,
  type Removed,
} from '@nestrec/storage';

export interface PlacedErasure {
  readonly offset: bigint;
  readonly erasure: LogErasure;
}

export interface ErasureOutcome {
  /** All but those of users that had been applied before. */
  readonly applied: readonly PlacedErasure[];
  /** Users whose state went with a single event, and has to be made anew. */
  readonly statesToRebuild: readonly string[];
  /** Where the records of removed dead letters lie in this partition: their key may be another's. */
  readonly rejectOffsets: readonly bigint[];
}

const NOTHING: Removed = { events: 0, states: 0, rejects: 0 };

interface Placed<E extends LogErasure> {
  readonly offset: bigint;
  readonly erasure: E;
}

export async function applyErasures(
  tx: Queryable,
  log: { readonly topic: string; readonly partition: number },
  erasures: readonly PlacedErasure[],
): Promise<ErasureOutcome> {
  const ofEvents = erasures.filter(isOfEvent);
  const all = erasures.filter(isOfUser);
  const ofUsers = await firstOfEach(tx, all);
  const targets = ofEvents.map(({ erasure }) => ({
    userId: erasure.user_id,
    eventId: erasure.target_event_id,
  }));
  const events = await eraseEvents(tx, targets);
  const users = await eraseUsers(tx, newestPerUser(ofUsers));

  const receipts = [
    ...ofEvents.map((placed, i) => ({
      placed,
      removed: take(events.removed, eventKeyText(targets[i]!)),
    })),
    ...ofUsers.map((placed) => ({ placed, removed: take(users.removed, placed.erasure.user_id) })),
    ...all
      .filter((placed) => !ofUsers.includes(placed))
      .map((placed) => ({ placed, removed: NOTHING })),
  ];
  await recordErasures(
    tx,
    receipts.map(({ placed, removed }) => ({
      ...{ ...log, offset: placed.offset, ...removed, id: idOf(placed) },
      kind: isOfUser(placed) ? ('user' as const) : ('event' as const),
      requestedAtMs: placed.erasure.timestamp_ms,
    })),
  );
  return {
    applied: [...ofEvents, ...ofUsers],
    statesToRebuild: [...events.states].filter((userId) => !users.removed.has(userId)),
    rejectOffsets: [...events.rejectPlaces, ...users.rejectPlaces]
      .filter((place) => place.topic === log.topic && place.partition === log.partition)
      .map((place) => place.offset),
  };
}

const idOf = ({ erasure }: PlacedErasure) => ({
  userId: erasure.user_id,
  eventId: erasure.event_id,
});
const isOfUser = (placed: PlacedErasure): placed is Placed<LogEraseUser> =>
  placed.erasure.type === 'erase_user';
const isOfEvent = (placed: PlacedErasure): placed is Placed<LogEraseEvent> =>
  placed.erasure.type === 'erase_event';

/**
 * Without those that were applied before. A second copy must do nothing: what the user did since the first
 * is a new history. (A second copy of an erased event's erasure finds nothing to do anyway.)
 */
async function firstOfEach(
  tx: Queryable,
  erasures: readonly Placed<LogEraseUser>[],
): Promise<Placed<LogEraseUser>[]> {
  const before = await appliedErasures(tx, erasures.map(idOf));
  const seen = new Set(before.map(eventKeyText));
  return erasures.filter((placed) => {
    const id = eventKeyText(idOf(placed));
    return !seen.has(id) && seen.add(id);
  });
}

function newestPerUser(erasures: readonly Placed<LogEraseUser>[]) {
  const newest = new Map<string, { erasedBeforeMs: number }>();
  for (const { erasure } of erasures) {
    const known = newest.get(erasure.user_id)?.erasedBeforeMs ?? -Infinity;
    newest.set(erasure.user_id, { erasedBeforeMs: Math.max(known, erasure.timestamp_ms) });
  }
  return newest;
}

/** What was removed, given out once. */
function take(removed: Map<string, Removed>, key: string): Removed {
  const found = removed.get(key) ?? NOTHING;
  removed.set(key, NOTHING);
  return found;
}
