/**
 * The SQL that finds items by inner product with a query vector, at one nested size.
 *
 * Text only: table names come from checked versions and widths from the model's sizes, so nothing that
 * a client sent is ever part of a statement; it travels in parameters.
 *
 * Two forms of the same question. `prefix` is written so that the planner can walk the HNSW index in
 * order of distance and drop what the restriction refuses on the way. `exact` computes every score first,
 * behind a fence that no index can pass, and reads the table once.
 */
import { itemVectorsPrefix } from '@nestrec/storage';
import { indexCanFill, servable, type Restriction } from './restriction.js';
import { sqlParameters, type SqlParameters, type Statement } from './sql-parameters.js';

export interface SearchTarget {
  /** Checked table name of the version's item vectors. */
  readonly table: string;
  /** Nested size to search at. */
  readonly dim: number;
  /** D; at it the column itself is indexed. */
  readonly fullDim: number;
}

/** What is looked for, and how many of it. */
export interface Search {
  /** A vector of the target's size, as pgvector's text. */
  readonly query: string;
  readonly limit: number;
  readonly restriction: Restriction;
}

/** The `limit` best by the index, in order of its scan. */
export function prefixSearch(target: SearchTarget, search: Search): Statement {
  const parameters = sqlParameters();
  const distance = `${expressionOf(target)} <#> ${parameters.add(search.query)}::vector`;
  return {
    text: `SELECT v.item_id, -(${distance}) AS score
      FROM ${target.table} v
      WHERE ${servable(search.restriction, 'point', parameters)}
      ORDER BY ${distance} LIMIT ${parameters.add(search.limit)}`,
    params: parameters.values,
  };
}

/** The `limit` best of all rows. */
export function exactSearch(target: SearchTarget, search: Search): Statement {
  const parameters = sqlParameters();
  const score = `-(${expressionOf(target)} <#> ${parameters.add(search.query)}::vector)`;
  return everyRow(target, score, search, parameters);
}

/**
 * The `limit` items most alike by the cosine of their prefixes, among the `shortlist` of greatest inner
 * product that the index finds.
 */
export function prefixSimilar(target: SearchTarget, search: Search, shortlist: number): Statement {
  const parameters = sqlParameters();
  const expression = expressionOf(target);
  const query = `${parameters.add(search.query)}::vector`;
  return {
    text: `WITH near AS MATERIALIZED (
        SELECT v.item_id, 1 - (${expression} <=> ${query}) AS score
        FROM ${target.table} v
        WHERE ${servable(search.restriction, 'point', parameters)}
        ORDER BY ${expression} <#> ${query} LIMIT ${parameters.add(shortlist)})
      SELECT item_id, score FROM near ORDER BY score DESC, item_id LIMIT ${parameters.add(search.limit)}`,
    params: parameters.values,
  };
}

/** The `limit` items of all rows most alike by the cosine of their prefixes. */
export function exactSimilar(target: SearchTarget, search: Search): Statement {
  const parameters = sqlParameters();
  const score = `1 - (${expressionOf(target)} <=> ${parameters.add(search.query)}::vector)`;
  return everyRow(target, score, search, parameters);
}

/** The `limit` items with most interactions, as last counted, that the version can score. */
export function popularItems(table: string, limit: number, restriction: Restriction): Statement {
  const parameters = sqlParameters();
  const access = indexCanFill(restriction, limit) ? 'point' : 'scan';
  return {
    text: `SELECT p.item_id, p.interactions AS score FROM item_popularity p
      JOIN ${table} v ON v.item_id = p.item_id
      WHERE ${servable(restriction, access, parameters)}
      ORDER BY p.interactions DESC, p.item_id LIMIT ${parameters.add(limit)}`,
    params: parameters.values,
  };
}

function everyRow(
  target: SearchTarget,
  score: string,
  search: Search,
  parameters: SqlParameters,
): Statement {
  return {
    text: `WITH scored AS MATERIALIZED (
        SELECT v.item_id, ${score} AS score FROM ${target.table} v
        WHERE ${servable(search.restriction, 'scan', parameters)})
      SELECT item_id, score FROM scored ORDER BY score DESC, item_id LIMIT ${parameters.add(search.limit)}`,
    params: parameters.values,
  };
}

const expressionOf = ({ dim, fullDim }: SearchTarget) => itemVectorsPrefix(dim, fullDim);
