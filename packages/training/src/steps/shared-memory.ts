/**
 * The memory that replicas exchange numbers through, and who owns which items.
 *
 * Every phase of a step writes only what no other replica reads in that phase, so that no lock is needed
 * (`replica.ts` says which phase does what).
 */
import type { NamedArrays } from '@nestrec/contracts';
import { ITEM_RESIDUAL } from '@nestrec/parameters';

/** A run of items, 0-based. */
export interface ItemRange {
  readonly first: number;
  readonly count: number;
}

export interface SharedMemory {
  /** The item table of the step, [N + 1, D]. */
  readonly items: Float32Array;
  /** By replica: the gradient by the item table from its users, [N + 1, D]. */
  readonly itemGradients: readonly Float32Array[];
  /** By replica: its gradients by the parameters that all replicas hold, one after the other. */
  readonly gradients: readonly Float32Array[];
  /** By replica: sum of squares of the gradient by its items' residuals. */
  readonly squares: Float64Array;
}

/** Evenly: replica `rank` of `replicas` owns these items. */
export function ownItems(numItems: number, rank: number, replicas: number): ItemRange {
  const first = Math.floor((rank * numItems) / replicas);
  return { first, count: Math.floor(((rank + 1) * numItems) / replicas) - first };
}

export function createSharedMemory(
  replicas: number,
  tableNumbers: number,
  gradientNumbers: number,
): SharedMemory {
  const floats = (count: number) => new Float32Array(new SharedArrayBuffer(4 * count));
  const perReplica = (count: number) => Array.from({ length: replicas }, () => floats(count));
  return {
    items: floats(tableNumbers),
    itemGradients: perReplica(tableNumbers),
    gradients: perReplica(gradientNumbers),
    squares: new Float64Array(new SharedArrayBuffer(8 * replicas)),
  };
}

/** Parameters, or an optimiser's state, with the residual's rows of these items only. */
export function withItems(arrays: NamedArrays, { first, count }: ItemRange): NamedArrays {
  const own = new Map(arrays);
  for (const [name, { shape, data }] of arrays) {
    if (name !== ITEM_RESIDUAL && !name.startsWith(`${ITEM_RESIDUAL}/`)) continue;
    const width = shape[1]!;
    const rows = data.slice(first * width, (first + count) * width);
    own.set(name, { shape: [count, width], data: rows });
  }
  return own;
}
