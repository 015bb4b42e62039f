/**
 * What a search among item vectors is given, and the exact one: every row scored, in one statement.
 *
 * Text only: table names come from checked versions and widths from the model's sizes, so nothing that
 * a client sent is ever part of a statement; it travels in parameters. Which items may be shown is the
 * caller's condition over the alias `v`, which has `item_id` and `removed`; it says whether few rows are
 * looked at, one at a time, or all of them.
 */
import { vector } from '@nestrec/database';
import { itemVectorsPrefix } from '../item-vectors.js';
import { sqlParameters, type SqlParameters, type Statement } from './sql-parameters.js';

/** `point`: few rows are looked at, one at a time, as they come; `scan`: every row of the table is. */
export type Access = 'point' | 'scan';

export type Condition = (access: Access, parameters: SqlParameters) => string;

/** What makes an item score high: its inner product with the query, or the angle between them. */
export type ScoreMeasure = 'inner_product' | 'cosine';

export interface VectorSearch {
  /** Quoted name of the version's table. */
  readonly table: string;
  /** D, the length of the stored vectors. */
  readonly fullDim: number;
  /** Its length is the size to rank at. */
  readonly query: Float32Array;
  /** Default: inner product. */
  readonly measure?: ScoreMeasure;
  /** Rows wanted; written into the text, so that a plan made once fits. */
  readonly limit: number;
  readonly condition: Condition;
}

/** Best first, ties by item id. */
export const SCORE_ORDER = 'score DESC, item_id';

/** The `limit` best of all rows. */
export function exactSearch(search: VectorSearch): Statement {
  const parameters = sqlParameters();
  const score = scoreOf(search, parameters.add(vector(search.query)));
  // OFFSET 0 is a fence that no index can pass, and unlike a materialised part it stores nothing.
  return {
    text: `SELECT item_id, score FROM (
        SELECT v.item_id, ${score} AS score FROM ${search.table} v
        WHERE ${search.condition('scan', parameters)} OFFSET 0) every_row
      ORDER BY ${SCORE_ORDER} LIMIT ${search.limit}`,
    params: parameters.values,
  };
}

/** A row's score at the query's size. */
export function scoreOf(
  { query, fullDim, measure = 'inner_product' }: VectorSearch,
  parameter: string,
): string {
  const prefix = itemVectorsPrefix(query.length, fullDim);
  return measure === 'cosine'
    ? `1 - (${prefix} <=> ${parameter}::vector)`
    : innerProduct(prefix, parameter);
}

export const innerProduct = (expression: string, parameter: string) =>
  `-(${expression} <#> ${parameter}::vector)`;
