/**
 * Which items a list may hold, as conditions on the rows of a vector table (alias `v`).
 *
 * Conditions are subqueries, never joins: a join would let the planner throw the order of an index scan
 * away. Nothing that a client sent is ever part of the text; it travels in parameters.
 */
import type { Filter } from '@nestrec/contracts';
import type { Access, SqlParameters } from '@nestrec/storage';
import { filterCondition, isIndexed } from './filter-sql.js';

/** What an answer must not hold. */
export type Exclusion =
  | { readonly kind: 'none' }
  /** Items of the user's newest interactions. */
  | { readonly kind: 'seen'; readonly userId: string }
  | { readonly kind: 'items'; readonly itemIds: readonly string[] };

export interface Restriction {
  readonly exclusion: Exclusion;
  /** Items that the request names, to be left out beside the exclusion. */
  readonly exclude?: readonly string[] | undefined;
  /** What the items have to match. */
  readonly filter?: Filter | undefined;
  /** Estimated share of the catalogue that the filter lets through, above 0 to 1; absent: not known. */
  readonly share?: number | undefined;
}

/**
 * How many of a user's newest interactions count as seen. A bound, so that one account with millions of
 * events cannot make its requests slow; what lies further back may be recommended again.
 */
export const MAX_SEEN_EVENTS = 5_000;

/**
 * Rows that an index may be walked over to fill a list. Measured at 100,000 items (docs/results.md): a row
 * met on the way costs some 75 us, since it is looked up in the catalogue; reading all rows costs as much as
 * 2,500 of those, reading those that an index of the catalogue finds as much as 300.
 */
const MAX_WALKED_ROWS = 1_500;
/** The same as a share of the rows, where no index of the catalogue helps the exact scan. */
const MAX_WALKED_SHARE = 0.015;
/** Below hnsw.max_scan_tuples, where a walk ends. */
const LONGEST_WALK = 15_000;

/**
 * Whether walking an index in order of distance is likely to meet `wanted` rows that pass before an exact
 * scan of the `rows` there are would have found them. A very selective filter makes the walk long and its
 * end empty.
 */
export function indexCanFill(
  { filter, share = 1 }: Restriction,
  wanted: number,
  rows = Number.POSITIVE_INFINITY,
): boolean {
  if (filter === undefined || share >= 1) return true;
  const worth = isIndexed(filter) ? MAX_WALKED_ROWS : MAX_WALKED_SHARE * rows;
  const most = Math.min(LONGEST_WALK, Math.max(MAX_WALKED_ROWS, worth), rows / 2);
  return wanted / share <= most;
}

/** The whole condition, without WHERE: what is removed, unavailable or excluded is not served. */
export function servable(
  restriction: Restriction,
  access: Access,
  parameters: SqlParameters,
): string {
  const { exclusion, exclude = [], filter } = restriction;
  const catalogue = access === 'scan' ? 'set' : 'point';
  return [
    'NOT v.removed',
    AVAILABLE[access],
    excluded(exclusion, parameters),
    exclude.length === 0 ? null : `v.item_id <> ALL(${parameters.add(exclude)}::text[])`,
    filter === undefined ? null : filterCondition(filter, catalogue, parameters),
  ]
    .filter((condition) => condition !== null)
    .join('\n        AND ');
}

/** Items that events brought and no catalogue describes are available. */
const AVAILABLE: Readonly<Record<Access, string>> = {
  point: '(SELECT i.available FROM items i WHERE i.item_id = v.item_id) IS NOT FALSE',
  scan: 'NOT EXISTS (SELECT 1 FROM items i WHERE i.item_id = v.item_id AND NOT i.available)',
};

function excluded(exclusion: Exclusion, parameters: SqlParameters): string | null {
  switch (exclusion.kind) {
    case 'none':
      return null;
    case 'seen':
      return `v.item_id NOT IN (SELECT s.item_id FROM (
          SELECT x.item_id FROM interactions x WHERE x.user_id = ${parameters.add(exclusion.userId)}
          ORDER BY x.ts DESC, x.event_id DESC LIMIT ${MAX_SEEN_EVENTS}) s)`;
    case 'items':
      return `v.item_id <> ALL(${parameters.add(exclusion.itemIds)}::text[])`;
  }
}
