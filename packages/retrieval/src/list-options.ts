/** What a request may ask of its list beside how long it is; all of it is optional and costs only then. */
import type { Boost, Filter } from '@nestrec/contracts';

export interface ListOptions {
  /** What the items have to match. */
  readonly filter?: Filter | undefined;
  /** Items to leave out. */
  readonly exclude?: readonly string[] | undefined;
  readonly boosts?: readonly Boost[] | undefined;
  /** 0 (off) to 1. */
  readonly diversity?: number | undefined;
  /** `next` of an earlier answer. */
  readonly cursor?: string | undefined;
  /** Say for each item which events brought it. */
  readonly because?: boolean | undefined;
}

/**
 * How many of the best items boosts and diversity choose from: beyond k, for they change the order, and
 * bounded, for they read every one of them.
 */
export function poolDepth(
  { boosts = [], diversity = 0 }: ListOptions,
  k: number,
  shown: number,
): number {
  return boosts.length > 0 || diversity > 0 ? shown + Math.max(200, 5 * k) : shown + k;
}
