/** How far a state is from the one it should be, and how far rounding may take it. */
import type { Cell } from './cell.js';
import type { UserState } from './user-state.js';

/** What closed-form edits may bring, relative to h (edits.ts), and what is asked of every state. */
const RELATIVE = 1e-5;
/** An erasure's error is relative to h before it, which may have been that much larger than h is now. */
const EDITED = 4;
const ROUNDING = 2 ** -24;

/**
 * The greatest relative difference that two ways to the same state may have: the state keeps float32, so
 * each step rounds by 6e-8 of h; lambda lets 1 / (1 - r) of these add up, in both states (r = max|lambda|).
 * A replay of the newest events leaves out 1e-7 of v.
 */
export function stateTolerance(cell: Cell, edits: number): number {
  const rounding = (4 * ROUNDING) / (1 - cell.lambdaMax);
  return (edits > 0 ? EDITED * RELATIVE : RELATIVE) + rounding;
}

/**
 * The greatest difference between two states of one model, relative to the greatest number of `wanted`: x
 * by itself, and h of each block, real and imaginary parts together. Infinity where the shapes differ.
 */
export function stateDifference(got: UserState, wanted: UserState): number {
  if (got.dim !== wanted.dim || got.blocks !== wanted.blocks) return Infinity;
  let worst = relative([got.x], [wanted.x]);
  for (let k = 0; k < wanted.blocks; k++) {
    const [from, to] = [k * wanted.dim, (k + 1) * wanted.dim];
    const block = ({ re, im }: UserState) => [re.subarray(from, to), im.subarray(from, to)];
    worst = Math.max(worst, relative(block(got), block(wanted)));
  }
  return worst;
}

/** The greatest difference between two vectors, relative to the greatest number of `wanted`. */
export function vectorDifference(got: Float32Array, wanted: Float32Array): number {
  return got.length === wanted.length ? relative([got], [wanted]) : Infinity;
}

function relative(got: readonly Float32Array[], wanted: readonly Float32Array[]): number {
  let difference = 0;
  let magnitude = 0;
  wanted.forEach((part, p) => {
    for (let i = 0; i < part.length; i++) {
      const gap = Math.abs(got[p]![i]! - part[i]!);
      // Math.max would let NaN through as NaN, which no comparison finds.
      difference = gap <= difference ? difference : Number.isNaN(gap) ? Infinity : gap;
      magnitude = Math.max(magnitude, Math.abs(part[i]!));
    }
  });
  return difference === 0 ? 0 : difference / magnitude;
}
