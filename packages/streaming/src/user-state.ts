/**
 * The recurrent state of one user: what is left of a history of any length.
 *
 * Plain typed arrays; knows nothing of weights, of storage, or of which events it came from. A prefix
 * of every array is the state of the model cut to that size (model.md section 3).
 */
import { InternalError } from '@nestrec/errors';

/** A vector of item or query coordinates: length D, any typed array of floats. */
export type Vector = Float32Array | Float64Array;

export interface UserState {
  /** D. */
  readonly dim: number;
  /** K. */
  readonly blocks: number;
  /** Vector of the newest event's item, length D; the projector bias where there is no event. */
  readonly x: Float32Array;
  /** Real part of h, block after block: K x D, row-major. */
  readonly re: Float32Array;
  /** Imaginary part of h: K x D, row-major. */
  readonly im: Float32Array;
  /** How many events were folded in since the state was last made from events. */
  events: number;
  /** Closed-form edits since then; each may lose digits. */
  edits: number;
}

/** A state of K blocks and D coordinates with h = 0; `x` is copied. */
export function createState(blocks: number, x: Vector): UserState {
  const dim = x.length;
  return {
    dim,
    blocks,
    x: Float32Array.from(x),
    re: new Float32Array(blocks * dim),
    im: new Float32Array(blocks * dim),
    events: 0,
    edits: 0,
  };
}

/** An independent copy. */
export function copyState(state: UserState): UserState {
  return {
    ...state,
    x: state.x.slice(),
    re: state.re.slice(),
    im: state.im.slice(),
  };
}

/** Makes `target` equal to `source`, in place; both have the same K and D. */
export function assignState(target: UserState, source: UserState): void {
  target.x.set(source.x);
  target.re.set(source.re);
  target.im.set(source.im);
  target.events = source.events;
  target.edits = source.edits;
}

/**
 * The state of the same user in the model cut to its first `dim` coordinates. `dim` has to be one of
 * the model's nested sizes for the result to mean anything; the state cannot check that.
 */
export function truncateState(state: UserState, dim: number): UserState {
  if (!Number.isInteger(dim) || dim < 1 || dim > state.dim) {
    throw new InternalError({ detail: `cannot truncate a state of ${state.dim} to ${dim}` });
  }
  const cut = (source: Float32Array): Float32Array => {
    const out = new Float32Array(state.blocks * dim);
    for (let k = 0; k < state.blocks; k++) {
      out.set(source.subarray(k * state.dim, k * state.dim + dim), k * dim);
    }
    return out;
  };
  return {
    ...state,
    dim,
    x: state.x.slice(0, dim),
    re: cut(state.re),
    im: cut(state.im),
  };
}

/**
 * The state of the same user in the first `blocks` blocks of the model: later blocks never act on earlier ones. Shares
 * memory with `state`.
 */
export function exitState(state: UserState, blocks: number): UserState {
  if (!Number.isInteger(blocks) || blocks < 1 || blocks > state.blocks) {
    throw new InternalError({
      detail: `a state of ${state.blocks} blocks has no first ${blocks}`,
    });
  }
  const part = (all: Float32Array) => all.subarray(0, blocks * state.dim);
  return { ...state, blocks, re: part(state.re), im: part(state.im) };
}
