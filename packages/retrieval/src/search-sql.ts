/**
 * The SQL that finds items by inner product with a query vector, at one nested size.
 *
 * Text only: table names come from checked versions and widths from the model's sizes, so nothing that
 * a client sent is ever part of a statement; it travels in parameters.
 *
 * Two forms of the same question. `prefix` is written so that the planner can walk the HNSW index in
 * order of distance and drop what the filters refuse on the way: filters are subqueries, not joins, for a
 * join would let it throw the order away. `exact` computes every score first, behind a fence that no
 * index can pass, and reads the table once.
 */
import { itemVectorsPrefix } from '@nestrec/storage';

/** What an answer must not hold. */
export type Exclusion =
  | { readonly kind: 'none' }
  /** Items of the user's newest interactions. */
  | { readonly kind: 'seen'; readonly userId: string }
  | { readonly kind: 'items'; readonly itemIds: readonly string[] };

/**
 * How many of a user's newest interactions count as seen. A bound, so that one account with millions of
 * events cannot make its requests slow; what lies further back may be recommended again.
 */
export const MAX_SEEN_EVENTS = 5_000;

export interface SearchTarget {
  /** Checked table name of the version's item vectors. */
  readonly table: string;
  /** Nested size to search at. */
  readonly dim: number;
  /** D; at it the column itself is indexed. */
  readonly fullDim: number;
}

export interface Statement {
  readonly text: string;
  readonly params: readonly unknown[];
}

/** The `limit` best by the index, in order of its scan. */
export function prefixSearch(
  target: SearchTarget,
  query: string,
  limit: number,
  exclusion: Exclusion,
): Statement {
  const distance = `${expressionOf(target)} <#> $1::vector`;
  const excluded = exclusionClause(exclusion);
  return {
    text: `SELECT v.item_id, -(${distance}) AS score
      FROM ${target.table} v
      WHERE NOT v.removed AND ${AVAILABLE} ${excluded.text}
      ORDER BY ${distance} LIMIT $2`,
    params: [query, limit, ...excluded.params],
  };
}

/** The `limit` best of all rows. */
export function exactSearch(
  target: SearchTarget,
  query: string,
  limit: number,
  exclusion: Exclusion,
): Statement {
  return everyRow(`-(${expressionOf(target)} <#> $1::vector)`, target, query, limit, exclusion);
}

/**
 * The `limit` items most alike by the cosine of their prefixes, among the `shortlist` of greatest inner
 * product that the index finds.
 */
export function prefixSimilar(
  target: SearchTarget,
  query: string,
  limit: number,
  exclusion: Exclusion,
  shortlist: number,
): Statement {
  const excluded = exclusionClause(exclusion, 4);
  const expression = expressionOf(target);
  return {
    text: `WITH near AS MATERIALIZED (
        SELECT v.item_id, 1 - (${expression} <=> $1::vector) AS score
        FROM ${target.table} v
        WHERE NOT v.removed AND ${AVAILABLE} ${excluded.text}
        ORDER BY ${expression} <#> $1::vector LIMIT $3)
      SELECT item_id, score FROM near ORDER BY score DESC, item_id LIMIT $2`,
    params: [query, limit, shortlist, ...excluded.params],
  };
}

/** The `limit` items of all rows most alike by the cosine of their prefixes. */
export function exactSimilar(
  target: SearchTarget,
  query: string,
  limit: number,
  exclusion: Exclusion,
): Statement {
  const score = `1 - (${expressionOf(target)} <=> $1::vector)`;
  return everyRow(score, target, query, limit, exclusion);
}

/** The `limit` items with most interactions, as last counted, that the version can score. */
export function popularItems(table: string, limit: number, exclusion: Exclusion): Statement {
  const excluded = exclusionClause(exclusion, 2);
  return {
    text: `SELECT p.item_id, p.interactions AS score FROM item_popularity p
      JOIN ${table} v ON v.item_id = p.item_id
      WHERE NOT v.removed AND ${AVAILABLE} ${excluded.text}
      ORDER BY p.interactions DESC, p.item_id LIMIT $1`,
    params: [limit, ...excluded.params],
  };
}

function everyRow(
  score: string,
  target: SearchTarget,
  query: string,
  limit: number,
  exclusion: Exclusion,
): Statement {
  const excluded = exclusionClause(exclusion);
  return {
    text: `WITH scored AS MATERIALIZED (
        SELECT v.item_id, ${score} AS score FROM ${target.table} v
        WHERE NOT v.removed
          AND NOT EXISTS (SELECT 1 FROM items i WHERE i.item_id = v.item_id AND NOT i.available)
          ${excluded.text})
      SELECT item_id, score FROM scored ORDER BY score DESC, item_id LIMIT $2`,
    params: [query, limit, ...excluded.params],
  };
}

/** Items that events brought and no catalogue describes are available. */
const AVAILABLE = '(SELECT i.available FROM items i WHERE i.item_id = v.item_id) IS NOT FALSE';

const expressionOf = ({ dim, fullDim }: SearchTarget) => itemVectorsPrefix(dim, fullDim);

/** The condition, whose parameters begin at number `first`. */
function exclusionClause(exclusion: Exclusion, first = 3): Statement {
  switch (exclusion.kind) {
    case 'none':
      return { text: '', params: [] };
    case 'seen':
      return {
        text: `AND v.item_id NOT IN (SELECT s.item_id FROM (
          SELECT x.item_id FROM interactions x WHERE x.user_id = $${first}
          ORDER BY x.ts DESC, x.event_id DESC LIMIT ${MAX_SEEN_EVENTS}) s)`,
        params: [exclusion.userId],
      };
    case 'items':
      return {
        text: `AND v.item_id <> ALL($${first}::text[])`,
        params: [exclusion.itemIds],
      };
  }
}
