/**
 * Rebuilds a user's state from the newest interactions: the one way in which ingest, serving and
 * verification make a state that is missing, stale or in doubt.
 *
 * Knows nothing of SQL: the caller hands in two loaders, so that a transaction, a snapshot or a plain
 * array can be behind them.
 */
import type { Cell } from './cell.js';
import type { UserState, Vector } from './user-state.js';

/** What a rebuild has to know of one event. */
export interface HistoryEvent {
  readonly eventId: string;
  readonly itemId: string;
  readonly timestampMs: number;
}

export interface RebuildSources {
  /** The user's newest `limit` interactions, oldest first (fewer where there are not so many). */
  loadNewest(limit: number): Promise<readonly HistoryEvent[]>;
  /** Vectors (length D) of those items that the model version knows. */
  loadVectors(itemIds: readonly string[]): Promise<ReadonlyMap<string, Vector>>;
}

export interface RebuiltState {
  readonly state: UserState;
  /** Newest interaction that was stepped; null where there is none. */
  readonly lastKnown: HistoryEvent | null;
  /** Newest interaction of all, whether its item is known or not; null without interactions. */
  readonly newest: HistoryEvent | null;
  /** Interactions among those read whose item the model does not know. */
  readonly unknownEvents: number;
}

/** A history with unknown items is read further back, so that enough known ones are found. */
const SECOND_LOOK = 8;

/** What a state has to be made of; `RebuiltState` before its events are stepped. */
export interface Replay extends Omit<RebuiltState, 'state'> {
  /** Vectors of the newest known events, oldest first: the state is their fold. */
  readonly items: readonly Vector[];
  /** Those events, one for each of `items`. */
  readonly events: readonly HistoryEvent[];
}

/**
 * The state of the newest `replayEvents` known interactions. Reads `replayEvents` interactions, and
 * once more eight times as many where some of these are unknown.
 */
export async function rebuildState(
  cell: Cell,
  replayEvents: number,
  sources: RebuildSources,
): Promise<RebuiltState> {
  const { items, lastKnown, newest, unknownEvents } = await readReplay(replayEvents, sources);
  return { state: cell.fold(items), lastKnown, newest, unknownEvents };
}

/** What `rebuildState` folds, for whoever steps many users at once. */
export async function readReplay(replayEvents: number, sources: RebuildSources): Promise<Replay> {
  let events = await sources.loadNewest(replayEvents);
  let vectors = await vectorsOf(events, sources);
  const complete = (list: readonly HistoryEvent[]) => list.every((e) => vectors.has(e.itemId));
  if (events.length === replayEvents && !complete(events)) {
    events = await sources.loadNewest(replayEvents * SECOND_LOOK);
    vectors = await vectorsOf(events, sources);
  }
  const known = events.filter((event) => vectors.has(event.itemId));
  const replayed = known.slice(-replayEvents);
  return {
    items: replayed.map((event) => vectors.get(event.itemId)!),
    events: replayed,
    lastKnown: known.at(-1) ?? null,
    newest: events.at(-1) ?? null,
    unknownEvents: events.length - known.length,
  };
}

function vectorsOf(
  events: readonly HistoryEvent[],
  sources: RebuildSources,
): Promise<ReadonlyMap<string, Vector>> {
  const ids = [...new Set(events.map((event) => event.itemId))];
  return ids.length === 0 ? Promise.resolve(new Map()) : sources.loadVectors(ids);
}
