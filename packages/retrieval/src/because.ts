/**
 * Why an item is in a list: by how much its score would be less had one recent event not happened. Pure.
 *
 * Leave-one-out, exact for any model: the state before the recent events is made once, and from it the
 * state without each of them, by steps. Nothing is divided by lambda, so nothing is lost as by an erasure
 * in closed form; with one block a step costs O(D), with more of them a matrix product (docs/serving.md).
 */
import type { Reason } from '@nestrec/contracts';
import { copyState, type Cell, type Vector } from '@nestrec/streaming';
import { roundScore } from './ranking.js';

/** Recent events that are looked at, for models of one block and of more. */
export const EXPLAINED_EVENTS = 20;
export const EXPLAINED_EVENTS_OF_BLOCKS = 8;
/** Events named per item. */
const MAX_REASONS = 3;

/** One event of the history behind a list. */
export interface PastEvent {
  readonly itemId: string;
  readonly eventId: string | null;
  readonly timestampMs: number | null;
  /** E_i, length D. */
  readonly vector: Vector;
}

export interface Explained {
  readonly cell: Cell;
  /** Oldest first; the state that was served is its fold. */
  readonly history: readonly PastEvent[];
  /** Vectors, length D, of the items of the list. */
  readonly items: ReadonlyMap<string, Vector>;
  /** Size that was served. */
  readonly dim: number;
}

/** Per item the events that raised its score most, greatest first; none where no event did. */
export function explainItems({ cell, history, items, dim }: Explained): Map<string, Reason[]> {
  const recent = history.slice(-recentEvents(cell));
  const changes = queryChanges(cell, history, recent.length, dim);
  return new Map(
    Array.from(items, ([itemId, vector]) => {
      const added = changes.map((change) => dot(change, vector));
      return [itemId, reasons(recent, added)];
    }),
  );
}

const recentEvents = (cell: Cell) =>
  cell.blocks === 1 ? EXPLAINED_EVENTS : EXPLAINED_EVENTS_OF_BLOCKS;

/** For each of the newest `count` events: the query, less the query had it not happened. */
function queryChanges(
  cell: Cell,
  history: readonly PastEvent[],
  count: number,
  dim: number,
): Float64Array[] {
  const older = history.slice(0, history.length - count).map(({ vector }) => vector);
  const recent = history.slice(history.length - count).map(({ vector }) => vector);
  const base = cell.fold(older);
  const whole = copyState(base);
  const without = recent.map(() => copyState(base));
  cell.stepAll([
    ...recent.map((item) => ({ state: whole, item })),
    // Round by round, so that states with more blocks share their products.
    ...recent.flatMap((item, t) =>
      without.flatMap((state, left) => (left === t ? [] : [{ state, item }])),
    ),
  ]);
  const query = cell.query(whole, dim);
  return without.map((state) => {
    const other = cell.query(state, dim);
    return Float64Array.from(query, (value, i) => value - other[i]!);
  });
}

function reasons(events: readonly PastEvent[], added: readonly number[]): Reason[] {
  const total = added.reduce((sum, value) => sum + Math.max(value, 0), 0);
  return events
    .map(({ itemId, eventId, timestampMs }, i) => ({
      item_id: itemId,
      event_id: eventId,
      at: timestampMs === null ? null : new Date(timestampMs).toISOString(),
      contribution: roundScore(added[i]!),
      share: total > 0 ? roundScore(Math.max(added[i]!, 0) / total) : 0,
    }))
    .filter(({ contribution }) => contribution > 0)
    .sort((a, b) => b.contribution - a.contribution)
    .slice(0, MAX_REASONS);
}

function dot(a: Float64Array, b: Vector): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
