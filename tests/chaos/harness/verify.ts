/**
 * Compares the stores with the truth of a workload.
 *
 * - lost: an event of the truth that is not stored, or that is stored and missing from its user's state
 *   by the state's count;
 * - doubled: a stored event that is not in the truth, or one that a state counts beyond the truth (the event
 *   id is a primary key, so an event that is applied twice shows in the state, never in the table);
 * - wrong: a user whose stored state is absent, of another model, or off by more than 1e-5 (relative to its
 *   largest coordinate) from the fold of the truth in (time, event id) order; or whose stored events differ
 *   from what was sent.
 */
import { compareEvents } from '@nestrec/contracts';
import type { Database } from '@nestrec/database';
import { streamInteractions, streamUserStates, type UserState } from '@nestrec/storage';
import { decodeState } from '@nestrec/streaming';
import { relativeError } from '../../helpers/streaming-reference.js';
import type { PublishedModel } from './scene.js';
import type { WorkloadEvent } from './workload.js';

export const STATE_TOLERANCE = 1e-5;

export interface Comparison {
  readonly expected: number;
  readonly stored: number;
  readonly lost: number;
  readonly doubled: number;
  readonly wrong: number;
  readonly users: number;
  /** Greatest relative difference of a state from the fold of the truth. */
  readonly worstError: number;
  /** The first few users that are wrong, each with the reason. */
  readonly examples: readonly string[];
}

type Truth = Pick<WorkloadEvent, 'eventId' | 'userId' | 'itemId' | 'timestampMs'>;

const SHOWN = 5;

export async function compareWithTruth(
  db: Database,
  model: PublishedModel,
  truth: readonly Truth[],
): Promise<Comparison> {
  const table = await compareEventsTable(db, truth);
  const states = await compareStates(db, model, truth, table.storedOf);
  const wrongUsers = new Set([...table.wrongUsers, ...states.wrong.keys()]);
  return {
    expected: truth.length,
    stored: table.stored,
    lost: table.lost + states.lost,
    doubled: table.doubled + states.doubled,
    wrong: wrongUsers.size,
    users: states.users,
    worstError: states.worstError,
    examples: [...states.wrong].slice(0, SHOWN).map(([user, why]) => `${user}: ${why}`),
  };
}

async function compareEventsTable(db: Database, truth: readonly Truth[]) {
  const missing = new Map(truth.map((event) => [event.eventId, event]));
  const wrongUsers = new Set<string>();
  const storedOf = new Map<string, number>();
  let stored = 0;
  let doubled = 0;
  for await (const batch of streamInteractions(db)) {
    for (const row of batch) {
      stored += 1;
      storedOf.set(row.userId, 1 + (storedOf.get(row.userId) ?? 0));
      const sent = missing.get(row.eventId);
      missing.delete(row.eventId);
      if (sent === undefined) doubled += 1;
      else if (
        sent.userId !== row.userId ||
        sent.itemId !== row.itemId ||
        sent.timestampMs !== row.timestampMs
      ) {
        wrongUsers.add(row.userId);
      }
    }
  }
  for (const event of missing.values()) wrongUsers.add(event.userId);
  return { stored, storedOf, doubled, lost: missing.size, wrongUsers };
}

async function compareStates(
  db: Database,
  model: PublishedModel,
  truth: readonly Truth[],
  storedOf: ReadonlyMap<string, number>,
) {
  const histories = byUser(truth);
  const rows = new Map<string, UserState>();
  for await (const batch of streamUserStates(db))
    for (const row of batch) rows.set(row.userId, row);
  const wrong = new Map<string, string>();
  let worstError = 0;
  let lost = 0;
  let doubled = 0;
  for (const [userId, events] of histories) {
    const row = rows.get(userId);
    rows.delete(userId);
    // What is not in the table was counted there.
    const stored = Math.min(events.length, storedOf.get(userId) ?? 0);
    if (row === undefined) {
      wrong.set(userId, 'no state');
      lost += stored;
      continue;
    }
    if (row.modelVersion !== model.version) wrong.set(userId, `model ${row.modelVersion}`);
    const error = errorOf(model, row, events);
    worstError = Math.max(worstError, error);
    const count = row.eventsInState + row.unknownEvents;
    if (!(error <= STATE_TOLERANCE)) {
      wrong.set(userId, `off by ${error.toExponential(1)}, ${count} of ${events.length} events`);
    }
    doubled += Math.max(0, count - events.length);
    // A rebuilt state counts what it was rebuilt from; a stepped one counts everything.
    const least = Math.min(stored, model.replayEvents);
    lost += Math.max(0, least - count);
  }
  for (const userId of rows.keys()) wrong.set(userId, 'a state of a user without events');
  return { wrong, worstError, lost, doubled, users: histories.size };
}

function errorOf(model: PublishedModel, row: UserState, events: readonly Truth[]): number {
  const wanted = model.cell.fold(events.map((event) => model.vectors.get(event.itemId)!));
  const got = decodeState(row.state, model.cell);
  const last = events.at(-1)!;
  if (row.newestEventId !== last.eventId) return Infinity;
  return Math.max(
    ...(['x', 're', 'im'] as const).map((part) => relativeError(got[part], wanted[part])),
  );
}

/** Each user's events in the order of the product: time, then event id bytewise. */
function byUser(truth: readonly Truth[]): Map<string, Truth[]> {
  const users = new Map<string, Truth[]>();
  for (const event of truth) {
    const list = users.get(event.userId);
    if (list === undefined) users.set(event.userId, [event]);
    else list.push(event);
  }
  for (const list of users.values()) list.sort(compareEvents);
  return users;
}

/** A5: rebuilds every state from the stored events alone and compares it with what is stored. */
export async function compareWithReplay(
  db: Database,
  model: PublishedModel,
): Promise<{ readonly users: number; readonly differing: number; readonly worstError: number }> {
  const stored: Truth[] = [];
  for await (const batch of streamInteractions(db)) stored.push(...batch);
  const counts = new Map<string, number>();
  for (const { userId } of stored) counts.set(userId, 1 + (counts.get(userId) ?? 0));
  const { wrong, users, worstError } = await compareStates(db, model, stored, counts);
  return { users, differing: wrong.size, worstError };
}
