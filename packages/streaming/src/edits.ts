/**
 * Edits of a state: take an event out, put a late one in, join two stretches of history.
 *
 * With K = 1 the state is linear in the events, h = sum of lambda^t v_t with t the distance from the
 * newest, so an edit is a closed form: with A = what the events newer than the place contribute,
 *   insert   h' = A + lambda^t v + lambda (h - A)             loses nothing
 *   erase    h' = A + (h - A - lambda^t v) / lambda           loses digits where |lambda| is small
 *   merge    h' = lambda^n h_older + h_newer                  loses nothing
 * at the cost of one `v` per newer event. With K >= 2, and where rounding would show, the same
 * functions refold the state from the events around the place.
 */
import { InternalError } from '@nestrec/errors';
import type { Cell } from './cell.js';
import { assignState, copyState, type UserState, type Vector } from './user-state.js';

/** After this many closed-form edits a state is made from events again (architecture.md). */
export const MAX_EDITS = 3;
/** Greatest error that closed-form erasures may bring, relative to h; float32 brings 6e-8 each. */
const TOLERATED = 1e-5;
const ROUNDING = 2 ** -24;

/** Where an edit happens, as item vectors, oldest first. */
export interface EditPlace {
  /** Events newer than the edited one: all of them. */
  readonly newer: readonly Vector[];
  /**
   * Events older than the edited one, down to the oldest or at least `cell.replayEvents` of them. A
   * closed form reads only the last (and only when there are no newer events); `canEdit` says
   * beforehand whether it will do.
   */
  readonly older: readonly Vector[];
}

/** Whether the next edit of this kind is a closed form; where not, `older` has to be complete. */
export function canEdit(cell: Cell, state: UserState, kind: 'insert' | 'erase'): boolean {
  if (cell.blocks > 1 || state.edits >= MAX_EDITS) return false;
  if (kind === 'insert') return true;
  // Every division by lambda multiplies what earlier edits lost.
  return ROUNDING * cell.lambdaMin ** -(state.edits + 1) <= TOLERATED;
}

/** Puts an event in where it belongs, in place, as if it had come in order. */
export function insertLate(cell: Cell, state: UserState, item: Vector, place: EditPlace): void {
  if (place.newer.length === 0) {
    cell.step(state, item);
    return;
  }
  if (place.newer.length >= cell.replayEvents) {
    // Too old to be seen in the state: it only counts.
    state.events += 1;
    return;
  }
  if (!canEdit(cell, state, 'insert')) {
    refold(cell, state, [...place.older, item, ...place.newer], state.events + 1);
    return;
  }
  const tail = contribution(cell, place.newer);
  const event = contribution(cell, [item]);
  const power = lambdaPower(cell, place.newer.length);
  const { lambdaRe, lambdaIm } = cell.prepared[0]!;
  for (let i = 0; i < cell.dim; i++) {
    const re = state.re[i]! - tail.re[i]!;
    const im = state.im[i]! - tail.im[i]!;
    const [eRe, eIm] = times(power.re[i]!, power.im[i]!, event.re[i]!, event.im[i]!);
    state.re[i] = tail.re[i]! + eRe + lambdaRe[i]! * re - lambdaIm[i]! * im;
    state.im[i] = tail.im[i]! + eIm + lambdaRe[i]! * im + lambdaIm[i]! * re;
  }
  state.events += 1;
  state.edits += 1;
}

/** Takes an event out, in place, exactly as if it had not happened. */
export function eraseEvent(cell: Cell, state: UserState, item: Vector, place: EditPlace): void {
  if (state.events < 1) throw new InternalError({ detail: 'there is no event to erase' });
  const events = state.events - 1;
  if (events === 0) {
    assignState(state, cell.emptyState());
    return;
  }
  if (place.newer.length >= cell.replayEvents) {
    state.events = events;
    return;
  }
  if (place.newer.length === 0 && place.older.length === 0) {
    throw new InternalError({ detail: 'erasing the newest event needs the one before it' });
  }
  if (!canEdit(cell, state, 'erase')) {
    refold(cell, state, [...place.older, ...place.newer], events);
    return;
  }
  const tail = contribution(cell, place.newer);
  const event = contribution(cell, [item]);
  const power = lambdaPower(cell, place.newer.length);
  const { lambdaRe, lambdaIm } = cell.prepared[0]!;
  for (let i = 0; i < cell.dim; i++) {
    const [eRe, eIm] = times(power.re[i]!, power.im[i]!, event.re[i]!, event.im[i]!);
    const re = state.re[i]! - tail.re[i]! - eRe;
    const im = state.im[i]! - tail.im[i]! - eIm;
    // 1 / lambda = conjugate / |lambda|^2
    const square = lambdaRe[i]! ** 2 + lambdaIm[i]! ** 2;
    state.re[i] = tail.re[i]! + (lambdaRe[i]! * re + lambdaIm[i]! * im) / square;
    state.im[i] = tail.im[i]! + (lambdaRe[i]! * im - lambdaIm[i]! * re) / square;
  }
  if (place.newer.length === 0) state.x.set(place.older[place.older.length - 1]!);
  state.events = events;
  state.edits += 1;
}

/**
 * The state of two stretches of history, `newer` right after `older`, each folded from nothing.
 * K = 1 only: with more blocks, fold the newer events onto the older state instead.
 */
export function mergeStates(cell: Cell, older: UserState, newer: UserState): UserState {
  if (cell.blocks > 1) {
    throw new InternalError({
      detail: `states of ${cell.blocks} blocks do not merge; step the newer events instead`,
    });
  }
  if (newer.events === 0) return copyState(older);
  const merged = copyState(newer);
  const power = lambdaPower(cell, newer.events);
  for (let i = 0; i < cell.dim; i++) {
    const [re, im] = times(power.re[i]!, power.im[i]!, older.re[i]!, older.im[i]!);
    merged.re[i] = newer.re[i]! + re;
    merged.im[i] = newer.im[i]! + im;
  }
  merged.events = older.events + newer.events;
  merged.edits = older.edits + newer.edits;
  return merged;
}

interface Complexes {
  readonly re: Float64Array;
  readonly im: Float64Array;
}

/** What a run of events (oldest first) contributes to h of the only block, in doubles. */
function contribution(cell: Cell, items: readonly Vector[]): Complexes {
  const { lambdaRe, lambdaIm } = cell.prepared[0]!;
  const re = new Float64Array(cell.dim);
  const im = new Float64Array(cell.dim);
  for (const event of cell.contributions(items)) {
    for (let i = 0; i < cell.dim; i++) {
      const [a, b] = times(lambdaRe[i]!, lambdaIm[i]!, re[i]!, im[i]!);
      re[i] = a + event.re[i]!;
      im[i] = b + event.im[i]!;
    }
  }
  return { re, im };
}

/** lambda^n by modulus and angle, so that n may be any number. */
function lambdaPower(cell: Cell, n: number): Complexes {
  const { nu, theta } = cell.prepared[0]!;
  return {
    re: nu.map((value, i) => Math.exp(-n * value) * Math.cos(n * theta[i]!)),
    im: nu.map((value, i) => Math.exp(-n * value) * Math.sin(n * theta[i]!)),
  };
}

function times(aRe: number, aIm: number, bRe: number, bIm: number): [number, number] {
  return [aRe * bRe - aIm * bIm, aRe * bIm + aIm * bRe];
}

/** Makes the state from events; `events` is how many it stands for, also those too old to be given. */
function refold(cell: Cell, state: UserState, history: readonly Vector[], events: number): void {
  const needed = Math.min(events, cell.replayEvents);
  if (history.length < needed) {
    throw new InternalError({
      detail: `a refold of ${events} events needs the last ${needed}, got ${history.length}`,
    });
  }
  assignState(state, cell.fold(history));
  state.events = events;
}
