/** What a replica on another thread is asked for, one call at a time, and how the main thread's is asked the same. */
import type { PartOfBatch } from './batch-parts.js';
import type { Replica, ReplicaInput, ResidualPart } from './replica.js';
import type { SharedMemory } from './shared-memory.js';

/** With what a replica's thread is started. */
export interface ReplicaStart {
  readonly backend: string;
  readonly input: ReplicaInput;
  readonly shared: SharedMemory;
}

export type ReplicaCall =
  | { readonly do: 'items'; readonly part: PartOfBatch; readonly index: number }
  | { readonly do: 'gradients' | 'sums' | 'update' | 'table' | 'digest' }
  | { readonly do: 'residual'; readonly what: ResidualPart };

export type ReplicaAnswer =
  | { readonly value: number | string | null }
  | { readonly failure: { readonly message: string; readonly stack: string | undefined } };

export function answer(replica: Replica, call: ReplicaCall): number | string | null {
  if (call.do === 'gradients') return replica.shareGradients();
  if (call.do === 'update') return replica.update();
  if (call.do === 'digest') return replica.digest();
  if (call.do === 'items') replica.shareItems(call.part, call.index);
  else if (call.do === 'residual') replica.shareResidual(call.what);
  else if (call.do === 'sums') replica.shareSums();
  else replica.shareTable();
  return null;
}
