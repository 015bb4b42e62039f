/**
 * How much of the exact answer an index finds: recall@20 over sampled queries, searched with the settings
 * that serve. Equal scores count as equal, whichever item came.
 */
import { vectorText, type Queryable } from '@nestrec/database';
import { itemVectorsPrefix, itemVectorsTable } from '@nestrec/storage';

export const RECALL_AT = 20;

/** Scores of one item may differ in the last bits between the two plans. */
const RELATIVE_TOLERANCE = 1e-5;

/** Mean recall@20 at size `dim`, in 0..1; 1 where there are no queries or no rows. */
export async function measureRecall(
  db: Queryable,
  version: string,
  dim: number,
  fullDim: number,
  queries: readonly Float32Array[],
): Promise<number> {
  const score = `-(${itemVectorsPrefix(dim, fullDim)} <#> $1::vector)`;
  const table = itemVectorsTable(version);
  const indexed = `SELECT ${score} AS score FROM ${table} v
    ORDER BY ${itemVectorsPrefix(dim, fullDim)} <#> $1::vector LIMIT ${RECALL_AT}`;
  const exact = `WITH scored AS MATERIALIZED (SELECT ${score} AS score FROM ${table} v)
    SELECT score FROM scored ORDER BY score DESC LIMIT ${RECALL_AT}`;
  let found = 0;
  let wanted = 0;
  for (const query of queries) {
    const params = [vectorText(query.subarray(0, dim))];
    const best = (await db.query<{ score: number }>(exact, params)).rows;
    const got = (await db.query<{ score: number }>(indexed, params)).rows;
    const last = best.at(-1)?.score ?? 0;
    const threshold = last - RELATIVE_TOLERANCE * Math.max(1, Math.abs(last));
    wanted += best.length;
    found += Math.min(best.length, got.filter((row) => row.score >= threshold).length);
  }
  return wanted === 0 ? 1 : found / wanted;
}
