/**
 * Carries newly stored events into the users' states, within the transaction that stored them.
 *
 * A state that is of the published version and has seen every event takes new ones by a step each, and one
 * late event by the closed form. Every other state (none yet, another version, events of unknown items,
 * replaced item vectors, too many edits, unreadable bytes) is rebuilt from the user's newest interactions,
 * which include the new ones. All steps of all users, rebuilds included, are one call of the cell.
 */
import { compareEvents } from '@nestrec/contracts';
import type { Queryable } from '@nestrec/database';
import { InvalidState, isError } from '@nestrec/errors';
import {
  lockUserStates,
  recentInteractions,
  recentInteractionsOfMany,
  upsertUserStates,
  type Interaction,
  type StoredUserState as StoredState,
  type UserState as StateToStore,
} from '@nestrec/storage';
import {
  canEdit,
  decodeState,
  encodeStates,
  insertLate,
  readReplay,
  type BatchEvent,
  type UserState,
} from '@nestrec/streaming';
import type { SteppingModel } from './model-source.js';

export interface StateUpdate {
  /** States that took their events by steps (and perhaps one late insert). */
  readonly stepped: number;
  /** States made anew from interactions. */
  readonly rebuilt: number;
  /** New events whose item the model does not know. */
  readonly unknownEvents: number;
}

export interface CarriedEvents extends StateUpdate {
  /** Their items. */
  readonly unknownItems: readonly string[];
}

export const NO_UPDATE: CarriedEvents = {
  ...{ stepped: 0, rebuilt: 0, unknownEvents: 0, unknownItems: [] },
};

export interface StateContext {
  readonly tx: Queryable;
  readonly model: SteppingModel;
  /** Of the model's item vectors, read before any of them. */
  readonly vectorsRevision: bigint;
  /** Vectors of those items that the model knows. */
  readonly vectors: (itemIds: readonly string[]) => Promise<ReadonlyMap<string, Float32Array>>;
}

type Vectors = ReadonlyMap<string, Float32Array>;

/** A state in memory with what its row says of it. */
interface OpenState {
  readonly userId: string;
  readonly state: UserState;
  newest: Pick<Interaction, 'eventId' | 'itemId' | 'timestampMs'> | null;
  unknownEvents: number;
}

/** What has to be done to one user's state. */
interface Plan {
  readonly userId: string;
  /** The readable, current state; null where it has to be rebuilt. */
  readonly open: OpenState | null;
  /** The only event older than the state's newest; it goes in by the closed form. */
  readonly late: Interaction | null;
  /** Newer events, oldest first. */
  readonly appended: readonly Interaction[];
}

/** Applies `events` (newly stored, any order) to the states of their users, and stores these. */
export async function updateStates(
  context: StateContext,
  events: readonly Interaction[],
): Promise<CarriedEvents> {
  const byUser = new Map<string, Interaction[]>();
  for (const event of events) {
    const list = byUser.get(event.userId);
    if (list === undefined) byUser.set(event.userId, [event]);
    else list.push(event);
  }
  if (byUser.size === 0) return NO_UPDATE;
  const rows = await lockUserStates(context.tx, [...byUser.keys()]);
  const vectors = await context.vectors(events.map((event) => event.itemId));
  const plans = [...byUser].map(([userId, list]) =>
    planUser(context.model, userId, list.sort(compareEvents), rows.get(userId), vectors),
  );
  const histories = await loadHistories(context, plans);
  const informed = await withVectorsOf(context, histories);

  const opened: OpenState[] = [];
  const batch: BatchEvent[] = [];
  for (const plan of plans) {
    const history = histories.get(plan.userId) ?? [];
    let open = plan.open;
    if (open === null) {
      open = await startAnew(informed, plan.userId, history, batch);
    } else {
      if (plan.late !== null) await putLate(informed, open, plan.late, history, plan.appended);
      append(open, plan.appended, vectors, batch);
    }
    opened.push(open);
  }
  context.model.cell.stepAll(batch);
  const bytes = encodeStates(opened.map(({ state }) => state));
  await upsertUserStates(
    context.tx,
    opened.map((open, i) => toRow(context, open, bytes[i]!)),
  );
  const rebuilt = plans.filter((plan) => plan.open === null).length;
  const unknown = events.map((event) => event.itemId).filter((itemId) => !vectors.has(itemId));
  return {
    ...{ stepped: plans.length - rebuilt, rebuilt },
    ...{ unknownEvents: unknown.length, unknownItems: [...new Set(unknown)] },
  };
}

function planUser(
  model: SteppingModel,
  userId: string,
  events: readonly Interaction[],
  row: StoredState | undefined,
  vectors: Vectors,
): Plan {
  const anew: Plan = { userId, open: null, late: null, appended: [] };
  const open = openRow(model, userId, row);
  if (open === null) return anew;
  const { newest } = open;
  const late = newest === null ? [] : events.filter((event) => compareEvents(event, newest) < 0);
  if (late.length === 0) return { userId, open, late: null, appended: events };
  const closedForm =
    late.length === 1 && canEdit(model.cell, open.state, 'insert') && vectors.has(late[0]!.itemId);
  if (!closedForm) return anew;
  return { userId, open, late: late[0]!, appended: events.slice(1) };
}

/** The row's state if it can be stepped; null where it has to be rebuilt. */
function openRow(
  model: SteppingModel,
  userId: string,
  row: StoredState | undefined,
): OpenState | null {
  if (row === undefined || row.modelVersion !== model.version) return null;
  if (row.unknownEvents > 0 || row.vectorsStale) return null;
  const { newestTimestampMs: timestampMs, newestEventId: eventId, lastItemId: itemId } = row;
  const newest =
    timestampMs === null || eventId === null || itemId === null
      ? null
      : { timestampMs, eventId, itemId };
  try {
    const state = decodeState(row.state, model.cell);
    return { userId, state, newest, unknownEvents: 0 };
  } catch (error) {
    if (isError(error, InvalidState)) return null;
    throw error;
  }
}

/** The newest events of all users who need them, in one statement. */
async function loadHistories(
  context: StateContext,
  plans: readonly Plan[],
): Promise<Map<string, Interaction[]>> {
  const users = plans
    .filter((plan) => plan.open === null || plan.late !== null)
    .map((plan) => plan.userId);
  if (users.length === 0) return new Map();
  return recentInteractionsOfMany(context.tx, users, context.model.replayEvents);
}

/** A context that has the vectors of all these events at hand, asked for in one statement. */
async function withVectorsOf(
  context: StateContext,
  histories: ReadonlyMap<string, readonly Interaction[]>,
): Promise<StateContext> {
  const asked = new Set([...histories.values()].flat().map((event) => event.itemId));
  const known = await context.vectors([...asked]);
  return {
    ...context,
    vectors: (itemIds) =>
      itemIds.every((id) => asked.has(id)) ? Promise.resolve(known) : context.vectors(itemIds),
  };
}

/** An empty state, and in `batch` the events that make it what it has to be. */
async function startAnew(
  context: StateContext,
  userId: string,
  history: readonly Interaction[],
  batch: BatchEvent[],
): Promise<OpenState> {
  const { replayEvents, cell } = context.model;
  const { items, lastKnown, unknownEvents } = await readReplay(replayEvents, {
    loadNewest: (limit) =>
      limit <= replayEvents
        ? Promise.resolve(history.slice(-limit))
        : recentInteractions(context.tx, userId, limit),
    loadVectors: context.vectors,
  });
  const state = cell.emptyState();
  for (const item of items) batch.push({ state, item });
  return { userId, state, newest: lastKnown, unknownEvents };
}

/** Puts one late event into a state that has every other event of `history` but the appended ones. */
async function putLate(
  context: StateContext,
  open: OpenState,
  late: Interaction,
  history: readonly Interaction[],
  appended: readonly Interaction[],
): Promise<void> {
  const vectors = await context.vectors([late, ...history].map((event) => event.itemId));
  const unseen = new Set(appended.map((event) => event.eventId));
  const seen = history.filter((event) => !unseen.has(event.eventId) && vectors.has(event.itemId));
  const place = seen.findIndex((event) => event.eventId === late.eventId);
  if (place < 0) {
    // Older than everything that the state still remembers: it only counts.
    open.state.events += 1;
    return;
  }
  const vectorOf = (event: Interaction) => vectors.get(event.itemId)!;
  insertLate(context.model.cell, open.state, vectorOf(late), {
    older: seen.slice(0, place).map(vectorOf),
    newer: seen.slice(place + 1).map(vectorOf),
  });
}

/** Puts newer events into `batch`; one of an unknown item is only counted, so that the next touch rebuilds. */
function append(
  open: OpenState,
  events: readonly Interaction[],
  vectors: Vectors,
  batch: BatchEvent[],
): void {
  for (const event of events) {
    const item = vectors.get(event.itemId);
    if (item === undefined) {
      open.unknownEvents += 1;
    } else {
      batch.push({ state: open.state, item });
      open.newest = event;
    }
  }
}

function toRow(
  { model, vectorsRevision }: StateContext,
  open: OpenState,
  state: Uint8Array,
): StateToStore {
  return {
    userId: open.userId,
    modelVersion: model.version,
    vectorsRevision,
    state,
    lastItemId: open.newest?.itemId ?? null,
    eventsInState: open.state.events,
    unknownEvents: open.unknownEvents,
    edits: open.state.edits,
    newestTimestampMs: open.newest?.timestampMs ?? null,
    newestEventId: open.newest?.eventId ?? null,
  };
}
