/**
 * pgvector's query settings, made once per connection; a query that differs uses SET LOCAL.
 *
 * `iterative_scan` keeps k full when filters discard neighbours; it ends at `max_scan_tuples`, after
 * which the caller searches exactly.
 */
import { InvalidConfig } from '@nestrec/errors';

export interface HnswOptions {
  /** Candidates kept while searching, 1 to 1000. */
  readonly efSearch?: number;
  readonly maxScanTuples?: number;
}

/** Statements that set the options; numbers only, so nothing can be smuggled in. */
export function hnswSettings(options: HnswOptions = {}): string {
  const efSearch = options.efSearch ?? 100;
  const maxScanTuples = options.maxScanTuples ?? 20_000;
  if (!Number.isInteger(efSearch) || efSearch < 1 || efSearch > 1_000) {
    throw new InvalidConfig({
      detail: `hnsw.ef_search: got ${efSearch}, wanted an integer from 1 to 1000`,
    });
  }
  if (!Number.isInteger(maxScanTuples) || maxScanTuples < 1) {
    throw new InvalidConfig({
      detail: `hnsw.max_scan_tuples: got ${maxScanTuples}, wanted a positive integer`,
    });
  }
  return (
    `SET hnsw.ef_search = ${efSearch}; SET hnsw.iterative_scan = strict_order; ` +
    `SET hnsw.max_scan_tuples = ${maxScanTuples};`
  );
}
