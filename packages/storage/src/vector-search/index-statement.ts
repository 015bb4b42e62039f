/**
 * Searches by an index: a shortlist in order of the index, re-ranked at the query's size, in one statement.
 *
 * With the index of the query's own size that is a plain index search; with one of a smaller prefix it is
 * the staged search.
 */
import { vector } from '@nestrec/database';
import { itemVectorsPrefix } from '../item-vectors.js';
import { indexSql, type IndexForm } from './index-form.js';
import { sqlParameters, type SqlParameters, type Statement } from './sql-parameters.js';
import { innerProduct, SCORE_ORDER, scoreOf, type VectorSearch } from './vector-search.js';

export interface IndexSearch {
  readonly form: IndexForm;
  /** Rows taken from the index, best first; re-ranked at the query's size. */
  readonly shortlist: number;
  readonly efSearch: number;
  /**
   * `index`: refused rows are passed over during the index scan, which goes on for more. `list`: the
   * shortlist is taken whole, and only what is about to be returned is asked about; cheaper, but short
   * where much is refused.
   */
  readonly refuse: 'index' | 'list';
  /** Sizes between the index's and the query's, each with the rows that go on; scores add up. */
  readonly between?: readonly { readonly dim: number; readonly rows: number }[];
}

/** The `limit` best of the index's shortlist, which may be fewer. */
export function indexSearch(search: VectorSearch, by: IndexSearch): Statement {
  const parameters = sqlParameters();
  const parts = shortlistParts(search, by, parameters);
  return {
    text: `WITH ${parts.text} ${ranked(search, by, parts.last, parameters)}`,
    params: parameters.values,
  };
}

/** The part that an answer is cut from. */
export function ranked(
  search: VectorSearch,
  by: Pick<IndexSearch, 'refuse'>,
  from: string,
  parameters: SqlParameters,
): string {
  if (by.refuse === 'index') {
    return `SELECT item_id, score FROM ${from} ORDER BY ${SCORE_ORDER} LIMIT ${search.limit}`;
  }
  return `SELECT v.item_id, v.score FROM (
      SELECT item_id, removed, score FROM ${from} ORDER BY ${SCORE_ORDER} OFFSET 0) v
    WHERE ${search.condition('point', parameters)} LIMIT ${search.limit}`;
}

/** The shortlist as parts of a WITH, and the name of the one whose scores are those of the query's size. */
export function shortlistParts(
  search: VectorSearch,
  by: IndexSearch,
  parameters: SqlParameters,
): { text: string; last: string } {
  const { query, fullDim, table } = search;
  const { dim } = by.form;
  const between = by.between ?? [];
  const sql = indexSql(by.form, fullDim);
  const prefix = parameters.add(vector(query.subarray(0, dim)));
  const whole = () => (dim === query.length ? prefix : parameters.add(vector(query)));
  const score =
    between.length === 0
      ? scoreOf(search, whole())
      : innerProduct(itemVectorsPrefix(dim, fullDim), prefix);
  // A gate, evaluated before the scan begins: the setting is this statement's only, without a round trip.
  const conditions = [
    `(SELECT set_config('hnsw.ef_search', '${by.efSearch}', true)) IS NOT NULL`,
    ...(by.refuse === 'index' ? [search.condition('point', parameters)] : []),
  ];
  const near = `near AS MATERIALIZED (
      SELECT v.item_id, v.removed${between.length === 0 ? '' : ', v.embedding'}, ${score} AS score
      FROM ${table} v
      WHERE ${conditions.join('\n        AND ')}
      ORDER BY ${sql.expression('v')} ${sql.operator} ${sql.query(prefix)} LIMIT ${by.shortlist})`;
  if (between.length === 0) return { text: near, last: 'near' };
  return addStages(search, near, [...between, { dim: query.length, rows: null }], dim, parameters);
}

/** Scores grow by the coordinates that each stage adds; nothing is multiplied twice. */
function addStages(
  { query }: VectorSearch,
  near: string,
  stages: readonly { readonly dim: number; readonly rows: number | null }[],
  indexedDim: number,
  parameters: SqlParameters,
): { text: string; last: string } {
  const parts = [near];
  let [done, from] = [indexedDim, 'near'];
  for (const { dim, rows } of stages) {
    const segment = `subvector(v.embedding, ${done + 1}, ${dim - done})`;
    const added = innerProduct(segment, parameters.add(vector(query.subarray(done, dim))));
    parts.push(`stage_${dim} AS MATERIALIZED (
      SELECT v.item_id, v.removed, v.embedding, v.score + ${added} AS score
      FROM ${from} v${rows === null ? '' : ` ORDER BY score DESC LIMIT ${rows}`})`);
    [done, from] = [dim, `stage_${dim}`];
  }
  return { text: parts.join(',\n    '), last: from };
}
