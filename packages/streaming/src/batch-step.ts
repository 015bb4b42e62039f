/**
 * Many states take events at once: what an event adds to the first block depends on the item alone and is
 * computed once per item; later blocks go block after block, all users of a round in one product.
 *
 * Same bits as one event at a time: every user's sums run in the same order, and what an event adds to the
 * first block is rounded to float32 in both ways. Trusts its arguments; `cell.ts` checks them.
 */
import { blockInput, blockReadout, createScratch, type PreparedBlock } from './prepared-block.js';
import type { Sizes } from './segments.js';
import type { UserState, Vector } from './user-state.js';

/** One event of one user. */
export interface BatchEvent {
  readonly state: UserState;
  /** E_i, length D. */
  readonly item: Vector;
}

/** What an event adds to h of the first block: length D each. */
export interface Contribution {
  readonly re: Float32Array;
  readonly im: Float32Array;
}

/** Rows of one product: as many as fit the second-level cache beside the weights at D = 1,024. */
const TILE = 16;

export interface BatchStep {
  stepOne(state: UserState, item: Vector): void;
  stepAll(events: readonly BatchEvent[]): void;
  contributions(items: readonly Vector[]): Contribution[];
}

/** Contributions by item vector, for as long as that lives. */
export type Remembered = WeakMap<Vector, Contribution>;

/** @param remembered may be shared by models with the same first block */
export function createBatchStep(
  sizes: Sizes,
  prepared: readonly PreparedBlock[],
  remembered: Remembered,
): BatchStep {
  const dim = sizes[sizes.length - 1]!;
  const first = prepared[0]!;
  const buffer = () => new Float64Array(TILE * dim);
  const scratch = createScratch(dim, TILE);
  const [x, vRe, vIm] = [buffer(), buffer(), buffer()];

  /** Contributions of at most TILE items. */
  const computeTile = (items: readonly Vector[]): Contribution[] => {
    items.forEach((item, row) => x.set(item, row * dim));
    blockInput(first, sizes, x, vRe, vIm, scratch, items.length);
    const rowOf = (v: Float64Array, row: number) =>
      new Float32Array(v.subarray(row * dim, (row + 1) * dim));
    return items.map((_, row) => ({ re: rowOf(vRe, row), im: rowOf(vIm, row) }));
  };

  const contributions = (items: readonly Vector[]): Contribution[] => {
    const missing = [...new Set(items)].filter((item) => !remembered.has(item));
    for (const tile of tiles(missing)) {
      const computed = computeTile(tile);
      tile.forEach((item, i) => remembered.set(item, computed[i]!));
    }
    return items.map((item) => remembered.get(item)!);
  };

  /** The blocks after the first for at most TILE states, whose first block has taken its event. */
  const laterBlocks = (events: readonly BatchEvent[]): void => {
    const rows = events.length;
    events.forEach(({ item }, row) => x.set(item, row * dim));
    for (let k = 1; k < prepared.length; k++) {
      events.forEach(({ state }, row) => {
        scratch.a.set(state.re.subarray((k - 1) * dim, k * dim), row * dim);
        scratch.b.set(state.im.subarray((k - 1) * dim, k * dim), row * dim);
      });
      blockReadout(prepared[k - 1]!, sizes, sizes.length, x, scratch, rows);
      blockInput(prepared[k]!, sizes, x, vRe, vIm, scratch, rows);
      events.forEach(({ state }, row) => recur(prepared[k]!, state, k, vRe, vIm, row * dim));
    }
  };

  const firstBlock = ({ state, item }: BatchEvent, added: Contribution): void => {
    state.x.set(item);
    recur(first, state, 0, added.re, added.im, 0);
    state.events += 1;
  };

  return {
    contributions,
    stepOne: (state, item) => {
      const event = { state, item };
      firstBlock(event, computeTile([item])[0]!);
      laterBlocks([event]);
    },
    stepAll: (events) => {
      const added = contributions(events.map(({ item }) => item));
      for (const round of prepared.length === 1 ? [events.keys()] : roundsOf(events)) {
        const indices = [...round];
        for (const i of indices) firstBlock(events[i]!, added[i]!);
        if (prepared.length === 1) continue;
        for (const tile of tiles(indices)) laterBlocks(tile.map((i) => events[i]!));
      }
    },
  };
}

/** Indices of events in rounds, at most one of a state in each, each state's in their order. */
function roundsOf(events: readonly BatchEvent[]): number[][] {
  const taken = new Map<UserState, number>();
  const rounds: number[][] = [];
  events.forEach(({ state }, i) => {
    const round = taken.get(state) ?? 0;
    taken.set(state, round + 1);
    (rounds[round] ??= []).push(i);
  });
  return rounds;
}

function* tiles<T>(values: readonly T[]): Generator<readonly T[]> {
  for (let from = 0; from < values.length; from += TILE) yield values.slice(from, from + TILE);
}

/** h = lambda h + v in block `k`, in place; v begins at `from`. */
function recur(
  block: PreparedBlock,
  state: UserState,
  k: number,
  vRe: Vector,
  vIm: Vector,
  from: number,
): void {
  const { lambdaRe, lambdaIm } = block;
  const { dim, re, im } = state;
  const h = k * dim;
  for (let i = 0; i < dim; i++) {
    const a = re[h + i]!;
    const b = im[h + i]!;
    re[h + i] = lambdaRe[i]! * a - lambdaIm[i]! * b + vRe[from + i]!;
    im[h + i] = lambdaRe[i]! * b + lambdaIm[i]! * a + vIm[from + i]!;
  }
}
