/**
 * Seeded events with a known truth: Zipf users, a sequence number per user, late and repeated events on
 * request. Pure: says what is sent and what has to be in the stores afterwards, and sends nothing.
 *
 * A user's item follows from chance, so that a lost, doubled or swapped event leaves another state.
 */
import { EVENT_SCHEMA_VERSION } from '@nestrec/contracts';
import { createRandom, type Random } from '@nestrec/random';

export interface WorkloadEvent {
  readonly eventId: string;
  readonly userId: string;
  readonly itemId: string;
  /** Place within the user's events, from 0, in the order of sending. */
  readonly seq: number;
  readonly timestampMs: number;
}

export interface WorkloadOptions {
  readonly seed: number;
  readonly events: number;
  /** Every one of them has at least one event. */
  readonly users: number;
  readonly items: readonly string[];
  /** Time of the first event; each is a millisecond later than the one before. */
  readonly startMs: number;
  /** Share of events whose time lies before that of earlier ones of the same user. */
  readonly late?: number;
  /** Tells the ids of several workloads on one database apart. */
  readonly prefix?: string;
}

export interface WireRecord {
  readonly key: string | null;
  readonly value: Buffer | null;
  readonly headers?: Record<string, string>;
}

/** The users of late events: their states may be rebuilt, so that they count less than was stepped. */
export const LATE_USERS_ONE_IN = 10;

export function makeEvents(options: WorkloadOptions): WorkloadEvent[] {
  const { events, users, items, startMs, late = 0, prefix = 'e' } = options;
  const random = createRandom(options.seed).fork('workload');
  const draw = zipf(users, random);
  const counts = new Array<number>(users).fill(0);
  return Array.from({ length: events }, (_, i) => {
    // The first events make every user known, in no particular order of size.
    const user = i < users ? i : draw();
    const seq = counts[user]!++;
    const isLate = late > 0 && user % LATE_USERS_ONE_IN === 0 && random.uniform() < late * 10;
    return {
      eventId: `${prefix}-${user}-${seq}`,
      userId: `u${user}`,
      itemId: items[random.int(items.length)]!,
      seq,
      timestampMs: startMs + i - (isLate ? 1 + random.int(20_000) : 0),
    };
  });
}

/** Ranks by Zipf's law with exponent 1, by inversion of the cumulated weights. */
function zipf(users: number, random: Random): () => number {
  const cumulated = new Float64Array(users);
  let sum = 0;
  for (let rank = 0; rank < users; rank++) cumulated[rank] = sum += 1 / (rank + 1);
  return () => {
    const wanted = random.uniform() * sum;
    let low = 0;
    let high = users - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (cumulated[middle]! <= wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

/** The record that a producer writes for an event. */
export function toRecord(event: WorkloadEvent): WireRecord {
  const body = {
    schema_version: EVENT_SCHEMA_VERSION,
    event_id: event.eventId,
    user_id: event.userId,
    item_id: event.itemId,
    type: 'view',
    timestamp_ms: event.timestampMs,
    value: null,
  };
  return { key: event.userId, value: Buffer.from(JSON.stringify(body)) };
}

/** The event as a client posts it to the API. */
export const toPost = (event: WorkloadEvent) => ({
  event_id: event.eventId,
  user_id: event.userId,
  item_id: event.itemId,
  type: 'view',
  timestamp: event.timestampMs,
});
