/**
 * The recurrent cell: a model made ready to follow users one event at a time, without TensorFlow.
 *
 * Pure and synchronous; the same numbers as the batch forward pass (model.md sections 1 and 4) within
 * float32 rounding. Sums run in doubles, only the state itself is float32. Needs nothing of Node, so
 * it runs in a browser too.
 *
 * Cost, multiply and add counted as two operations, nz = stored weights of a nested D x D matrix
 * (2,744 for sizes 8..64, 699,072 for 8..1024):
 *   step          4 nz K + 10 nz (K - 1)     whatever the length of the history
 *   stepAll       14 nz (K - 1) an event     and 4 nz once per item whose contribution is not at hand
 *   query at m    10 nz(m) K                 nothing above the nested size that holds m
 * An early exit after b blocks costs what a model of K = b does.
 */
import type { ModelConfig, NamedArrays } from '@nestrec/contracts';
import { InternalError, InvalidModelConfig } from '@nestrec/errors';
import {
  createBatchStep,
  type BatchEvent,
  type Contribution,
  type Remembered,
} from './batch-step.js';
import {
  blockReadout,
  createScratch,
  prepareBlock,
  readArray,
  type PreparedBlock,
} from './prepared-block.js';
import { segmentsFor } from './segments.js';
import { createState, type UserState, type Vector } from './user-state.js';

/** Contributions below this share of the greatest v are not worth replaying (model.md section 4). */
const FORGOTTEN = 1e-7;
/** Bound on a replay, for models that practically never forget. */
const MOST_EVENTS = 100_000;

export interface Cell {
  /** Nested sizes m_1 < ... < m_M = D. */
  readonly sizes: readonly number[];
  /** D. */
  readonly dim: number;
  /** K. */
  readonly blocks: number;
  /** Greatest and least |lambda| of all blocks and coordinates. */
  readonly lambdaMax: number;
  readonly lambdaMin: number;
  /** How many newest events make a state: K ceil(ln(1e-7 (1 - r)) / ln r), r = lambdaMax. */
  readonly replayEvents: number;
  /** Projector bias p, the input of an empty history; length D. Do not write to it. */
  readonly emptyInput: Float32Array;
  /** The block parameters, for the closed forms of edits.ts. */
  readonly prepared: readonly PreparedBlock[];
  /** State of a user without events: x = p, h = 0. */
  emptyState(): UserState;
  /** Appends one event, in place. `item` is E_i, length D. */
  step(state: UserState, item: Vector): void;
  /**
   * Appends events to any number of states, in place; several of one state in the order given. The same
   * bits as `step` for one after the other, with weights read once for many users. See `contributions`.
   */
  stepAll(events: readonly BatchEvent[]): void;
  /** State of a history, oldest event first. */
  fold(items: Iterable<Vector>): UserState;
  /** The query vector z[0:dim], any 1 <= dim <= D: exactly the first coordinates of z. */
  query(state: UserState, dim?: number): Float32Array;
  /**
   * What an event of each item adds to h of the first block. It is of the item alone, so it is remembered
   * for as long as the vector object lives (twice its bytes): do not write to a vector after.
   */
  contributions(items: readonly Vector[]): Contribution[];
  /**
   * The cell of the first `blocks` blocks, an early exit: what it steps and asks is what the first blocks of this one
   * do, at their cost. It takes the states of `exitState`. The same object at every call.
   */
  exit(blocks: number): Cell;
}

/**
 * Prepares a model; takes its parameters by the names of the golden files and does not keep them.
 *
 * @throws InvalidModelConfig where a parameter is missing, misshapen or not finite.
 */
export function createCell(config: ModelConfig, params: NamedArrays): Cell {
  const { sizes, blocks } = config;
  const dim = sizes[sizes.length - 1]!;
  const prepared = Array.from({ length: blocks }, (_, k) =>
    prepareBlock(params, sizes, k, config.useBias),
  );
  const emptyInput = readEmptyInput(config, params, dim);
  return cellOf({ sizes, prepared, emptyInput, remembered: new WeakMap() });
}

interface CellParts {
  readonly sizes: readonly number[];
  readonly prepared: readonly PreparedBlock[];
  readonly emptyInput: Float32Array;
  readonly remembered: Remembered;
}

function cellOf(parts: CellParts): Cell {
  const { sizes, prepared, emptyInput } = parts;
  const dim = sizes[sizes.length - 1]!;
  const blocks = prepared.length;
  const lambdas = prepared.flatMap((block) => Array.from(block.nu, (nu) => Math.exp(-nu)));
  const lambdaMax = lambdas.reduce((a, b) => Math.max(a, b), 0);
  const lambdaMin = lambdas.reduce((a, b) => Math.min(a, b), 1);
  assertUsable(prepared, lambdaMax);

  const scratch = createScratch(dim);
  const x = new Float64Array(dim);
  const { contributions, stepAll, stepOne } = createBatchStep(sizes, prepared, parts.remembered);
  const checked = ({ state, item }: BatchEvent): void => {
    assertFits(state, dim, blocks);
    assertVector(item, dim);
  };

  const query = (state: UserState, width = dim): Float32Array => {
    assertFits(state, dim, blocks);
    if (!Number.isInteger(width) || width < 1 || width > dim) {
      throw new InternalError({ detail: `query of width ${width}, wanted 1 to ${dim}` });
    }
    const upTo = segmentsFor(sizes, width);
    for (let i = 0; i < sizes[upTo - 1]!; i++) x[i] = state.x[i]!;
    prepared.forEach((block, k) => {
      for (let i = 0; i < sizes[upTo - 1]!; i++) {
        scratch.a[i] = state.re[k * dim + i]!;
        scratch.b[i] = state.im[k * dim + i]!;
      }
      blockReadout(block, sizes, upTo, x, scratch);
    });
    return Float32Array.from(x.subarray(0, width));
  };

  const emptyState = () => createState(blocks, emptyInput);
  const fold = (items: Iterable<Vector>): UserState => {
    const state = emptyState();
    const events = Array.from(items, (item) => ({ state, item }));
    events.forEach(checked);
    stepAll(events);
    return state;
  };
  const exits = new Map<number, Cell>();
  const cell: Cell = {
    ...{ sizes, dim, blocks, lambdaMax, lambdaMin, emptyInput, prepared },
    replayEvents: replayEventsOf(blocks, lambdaMax),
    ...{ emptyState, fold, query },
    step: (state, item) => {
      checked({ state, item });
      stepOne(state, item);
    },
    stepAll: (events) => {
      // All before the first, so that a fault leaves every state as it was.
      events.forEach(checked);
      stepAll(events);
    },
    contributions: (items) => {
      for (const item of items) assertVector(item, dim);
      return contributions(items);
    },
    exit: (count) => {
      if (count === blocks) return cell;
      if (!Number.isInteger(count) || count < 1 || count > blocks) {
        throw new InternalError({ detail: `exit after ${count} blocks, wanted 1 to ${blocks}` });
      }
      const found = exits.get(count) ?? cellOf({ ...parts, prepared: prepared.slice(0, count) });
      exits.set(count, found);
      return found;
    },
  };
  return cell;
}

/** K ceil(ln(1e-7 (1 - r)) / ln r), at least K, at most 100,000. */
function replayEventsOf(blocks: number, r: number): number {
  const perBlock = Math.ceil(Math.log(FORGOTTEN * (1 - r)) / Math.log(r));
  return Math.min(MOST_EVENTS, blocks * Math.max(1, perBlock));
}

function readEmptyInput(config: ModelConfig, params: NamedArrays, dim: number): Float32Array {
  const name = 'embedding.projector.bias';
  // Without features or biases there may be no p: the empty history then starts at 0.
  const optional = config.featureWidth === 0 || !config.useBias;
  if (optional && !params.has(name)) return new Float32Array(dim);
  return readArray(params, name, [dim]).slice();
}

function assertUsable(prepared: readonly PreparedBlock[], lambdaMax: number): void {
  const finite = prepared.every((block) =>
    Object.values(block).every(
      (part: Float64Array | { weights: Float32Array; bias: Float64Array }) =>
        part instanceof Float64Array
          ? part.every(Number.isFinite)
          : part.weights.every(Number.isFinite) && part.bias.every(Number.isFinite),
    ),
  );
  if (!finite) {
    throw new InvalidModelConfig({ detail: 'a parameter of the blocks is not a finite number' });
  }
  if (!(lambdaMax < 1)) {
    throw new InvalidModelConfig({
      detail: `got max|lambda| ${lambdaMax}, wanted less than 1: such a model never forgets`,
    });
  }
}

function assertVector(item: Vector, dim: number): void {
  if (item.length !== dim) {
    throw new InternalError({ detail: `item vector of ${item.length} coordinates, wanted ${dim}` });
  }
}

function assertFits(state: UserState, dim: number, blocks: number): void {
  if (state.dim !== dim || state.blocks !== blocks) {
    throw new InternalError({
      detail: `state of ${state.blocks} x ${state.dim}, wanted ${blocks} x ${dim}`,
    });
  }
}
