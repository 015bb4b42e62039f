/**
 * Proves that stored states are what the interactions say: the newest `replayEvents` events of a user,
 * folded from nothing in (time, event id) order, against the state that steps, late inserts and
 * erasures left.
 *
 * State, events, item vectors and what became of these are read from one snapshot, so that an ingest that
 * works meanwhile raises no false alarm. What is rebuilt when it is next touched is no fault: a state that
 * is not there, of another version, with events of unknown items, or with item vectors replaced since.
 */
import type { Database, Queryable } from '@nestrec/database';
import { InvalidState, isError } from '@nestrec/errors';
import {
  createItemVectorCache,
  deleteUserStates,
  getUserStates,
  lockUserStates,
  readInSnapshot,
  recentInteractionsOfMany,
  vectorsVersionOf,
  type Interaction,
  type StoredUserState,
} from '@nestrec/storage';
import {
  decodeState,
  stateDifference,
  stateTolerance,
  type Cell,
  type UserState,
} from '@nestrec/streaming';
import type { SteppingModel } from './model-source.js';

/** `different` and `unreadable` are faults. */
export type StateFinding =
  | 'same'
  | 'different'
  | 'unreadable'
  | 'absent'
  | 'other_version'
  | 'vectors_replaced'
  | 'unknown_items';

export interface ExaminedState {
  readonly userId: string;
  readonly finding: StateFinding;
  /** What is wrong; null where nothing is. Holds no ids. */
  readonly detail: string | null;
  /** Greatest relative difference from the refolded state; null where they were not compared. */
  readonly error: number | null;
  /** The stored state, where it can be read and was compared. */
  readonly state: UserState | null;
  /** Vectors of the events that make the state, oldest first, where it was compared. */
  readonly history: readonly Float32Array[];
}

/** What the database says of a user at one moment. */
export interface StateEvidence {
  readonly userId: string;
  readonly row: StoredUserState | null;
  /** The newest events that make a state, oldest first; empty where there is nothing to compare. */
  readonly events: readonly Interaction[];
  /** Vectors of those items among them that the model knows. */
  readonly vectors: ReadonlyMap<string, Float32Array>;
}

export const isFault = ({ finding }: ExaminedState): boolean =>
  finding === 'different' || finding === 'unreadable';

/** Reads what the examination of these users needs, from one snapshot. */
export function readEvidence(
  db: Database,
  model: SteppingModel,
  userIds: readonly string[],
): Promise<StateEvidence[]> {
  return readInSnapshot(db, (tx) => collectEvidence(tx, model, userIds));
}

async function collectEvidence(
  tx: Queryable,
  model: SteppingModel,
  userIds: readonly string[],
): Promise<StateEvidence[]> {
  const rows = await getUserStates(tx, userIds);
  const compared = userIds.filter((userId) => excuseOf(model, rows.get(userId) ?? null) === null);
  const histories =
    compared.length === 0
      ? new Map<string, Interaction[]>()
      : await recentInteractionsOfMany(tx, compared, model.replayEvents);
  const items = [...histories.values()].flat().map((event) => event.itemId);
  // A cache of its own, so that nothing older than the snapshot is in it.
  const vectorsVersion = await vectorsVersionOf(tx, model.version);
  const vectors = await createItemVectorCache().load(tx, vectorsVersion, items);
  return userIds.map((userId) => ({
    ...{ userId, row: rows.get(userId) ?? null, events: histories.get(userId) ?? [], vectors },
  }));
}

/** Why a row is not compared but rebuilt when it is next touched; null where it is compared. */
function excuseOf(model: SteppingModel, row: StoredUserState | null): StateFinding | null {
  if (row === null) return 'absent';
  if (row.modelVersion !== model.version) return 'other_version';
  if (row.unknownEvents > 0) return 'unknown_items';
  return row.vectorsStale ? 'vectors_replaced' : null;
}

/** Compares a stored state with the events it should be made of. */
export function examineState(model: SteppingModel, evidence: StateEvidence): ExaminedState {
  const { userId, row, vectors } = evidence;
  const base = { userId, detail: null, error: null, state: null, history: [] };
  const excuse = excuseOf(model, row);
  if (row === null || excuse !== null) return { ...base, finding: excuse ?? 'absent' };
  const state = readState(model.cell, row);
  if (typeof state === 'string') return { ...base, finding: 'unreadable', detail: state };
  const known = evidence.events.filter((event) => vectors.has(event.itemId));
  const history = known.map((event) => vectors.get(event.itemId)!);
  const error = stateDifference(state, model.cell.fold(history));
  const tolerance = stateTolerance(model.cell, state.edits);
  const newest = known.at(-1) ?? null;
  const detail =
    error > tolerance
      ? `the state differs from the refolded one by ${error.toExponential(1)}, tolerated is ${tolerance.toExponential(1)}`
      : row.newestEventId === (newest?.eventId ?? null) &&
          row.newestTimestampMs === (newest?.timestampMs ?? null)
        ? null
        : 'the row names another newest event than the interactions do';
  const finding = detail === null ? 'same' : 'different';
  return { userId, finding, detail, error, state, history };
}

function readState(cell: Cell, row: StoredUserState): UserState | string {
  try {
    return decodeState(row.state, cell);
  } catch (error) {
    if (isError(error, InvalidState)) return `the state cannot be read: ${error.detail ?? ''}`;
    throw error;
  }
}

/**
 * Deletes a user's state if it is wrong, under its lock, so that the next touch rebuilds it. Ingest locks
 * the row before it writes it: what is read under the lock belongs together.
 * @param isWrong what else may be wrong with a state that agrees with the events
 * @returns whether it was wrong still
 */
export function repairState(
  db: Database,
  model: SteppingModel,
  userId: string,
  isWrong: (examined: ExaminedState) => boolean = isFault,
): Promise<boolean> {
  return db.transaction(async (tx) => {
    await lockUserStates(tx, [userId]);
    const [evidence] = await collectEvidence(tx, model, [userId]);
    if (!isWrong(examineState(model, evidence!))) return false;
    await deleteUserStates(tx, [userId]);
    return true;
  });
}
