/**
 * The exact answer without scoring every row: by Cauchy and Schwarz no item's score at the query's size
 * exceeds its score at a smaller prefix plus |tail of the query| |tail of the item|.
 *
 * A shortlist by the index gives a threshold, the score of its last item that may be shown. Every row whose
 * bound lies below is left out, all others are scored. So the answer is the exact scan's whatever the
 * index missed, whatever is refused or removed, and with ties; a poor shortlist only leaves more rows open.
 */
import { vector } from '@nestrec/database';
import { itemVectorsPrefix } from '../item-vectors.js';
import { ranked, shortlistParts, type IndexSearch } from './index-statement.js';
import { sqlParameters, type Statement } from './sql-parameters.js';
import { innerProduct, SCORE_ORDER, scoreOf, type VectorSearch } from './vector-search.js';

export interface BoundSearch {
  /** How the threshold is found. */
  readonly by: IndexSearch;
  /** Size that the bound is taken at; less than the query's. */
  readonly dim: number;
  /** The model's nested sizes, in the order of the table's column of norms. */
  readonly sizes: readonly number[];
}

/** The column with the norms of every item's prefixes, one per nested size. */
export const NORMS_COLUMN = 'norms';

/** Its definition: computed by the database, so that whoever writes a vector keeps it true. */
export function normsColumn(sizes: readonly number[]): string {
  const fullDim = sizes.at(-1)!;
  const norms = sizes.map((size) => `vector_norm(${itemVectorsPrefix(size, fullDim, '')})`);
  return `${NORMS_COLUMN} float8[] GENERATED ALWAYS AS (ARRAY[${norms.join(', ')}]) STORED`;
}

/** Half a unit in the last place of float32. */
const FLOAT32_UNIT = 2 ** -24;

/** What the differences of squared norms, rounded as float64, may be off by; generous. */
const NORM_SLACK = 1e-6;

export function boundSearch(search: VectorSearch, { by, dim, sizes }: BoundSearch): Statement {
  const parameters = sqlParameters();
  const shortlist = shortlistParts(search, by, parameters);
  const query = parameters.add(vector(search.query));
  const head = parameters.add(vector(search.query.subarray(0, dim)));
  const whole = normOf(search.query);
  // Scores are sums of float32 products, and the bound is one of exact numbers: both scores may be off by
  // length x unit x |query| |item|.
  const slack = whole * (2 * search.query.length * FLOAT32_UNIT + NORM_SLACK);
  const tail = parameters.add(normOf(search.query.subarray(dim)));
  const norm = (size: number) => `v.${NORMS_COLUMN}[${sizes.indexOf(size) + 1}]`;
  const [itemNorm, headNorm] = [norm(search.query.length), norm(dim)];
  const itemTail = `sqrt(greatest(0, ${itemNorm} ^ 2 - ${headNorm} ^ 2))`;
  const threshold = `(SELECT score FROM threshold)`;
  const bounds = [
    // By the norms alone: what cannot matter is left out before its vector is read.
    `${parameters.add(whole + slack)}::float8 * ${itemNorm} >= ${threshold}`,
    `${innerProduct(itemVectorsPrefix(dim, search.fullDim), head)}
          + ${tail}::float8 * ${itemTail} + ${parameters.add(slack)}::float8 * ${itemNorm} >= ${threshold}`,
  ];
  return {
    text: `WITH ${shortlist.text},
    found AS MATERIALIZED (${ranked(search, by, shortlist.last, parameters)}),
    threshold AS MATERIALIZED (
      SELECT CASE WHEN count(*) < ${search.limit} THEN '-infinity' ELSE min(score) END AS score FROM found)
    SELECT item_id, score FROM (
      SELECT v.item_id, ${scoreOf(search, query)} AS score FROM ${search.table} v
      WHERE ${bounds.join('\n        AND ')}
        AND ${search.condition('scan', parameters)} OFFSET 0) still_open
    ORDER BY ${SCORE_ORDER} LIMIT ${search.limit}`,
    params: parameters.values,
  };
}

const normOf = (vector: Float32Array) => Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0));
