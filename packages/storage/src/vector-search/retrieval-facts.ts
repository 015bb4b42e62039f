/**
 * What a version's vector table offers to searches: its indexes, and for each size that is served the plan
 * that was chosen and measured when it was published. Written by publishing, read by retrieval.
 */
import type { Plan } from '@nestrec/contracts';
import { json, type Queryable } from '@nestrec/database';
import type { IndexForm } from './index-form.js';

export interface StoredIndex extends IndexForm {
  readonly name: string;
  /** Neighbours per node and layer. */
  readonly m: number;
  readonly efConstruction: number;
  readonly bytes: number;
  readonly buildMs: number;
}

/** How one size is served, and what came out on sampled queries against the exact scan. */
export interface MeasuredPlan {
  /** Size that is ranked at. */
  readonly dim: number;
  readonly plan: Plan;
  /** Name of the index; null for the exact scan. */
  readonly index: string | null;
  /** Rows taken from the index and re-ranked; null where a list's own length is enough. */
  readonly shortlist: number | null;
  readonly efSearch: number | null;
  readonly recallAt20: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly queries: number;
  /** Bytes of the index; 0 for the exact scan. */
  readonly bytes: number;
}

export interface RetrievalFacts {
  readonly indexes: readonly StoredIndex[];
  readonly plans: readonly MeasuredPlan[];
  /** Whether the table has the norms of prefixes, which plan `bound` needs. */
  readonly norms: boolean;
}

export const NO_RETRIEVAL_FACTS: RetrievalFacts = { indexes: [], plans: [], norms: false };

/** What the version's table has from now on; `index_dims` follows, for those who only ask for sizes. */
export async function setRetrievalFacts(
  db: Queryable,
  version: string,
  facts: RetrievalFacts,
): Promise<void> {
  await db.query('UPDATE model_versions SET retrieval = $2, index_dims = $3 WHERE version = $1', [
    version,
    json(facts),
    dimsOf(facts.indexes),
  ]);
}

/** What is known of a table, with the sizes that are indexed; `legacyDims` where no facts were kept. */
export function factsOfRow(
  vectorsVersion: string,
  facts: RetrievalFacts | null,
  legacyDims: readonly number[],
): RetrievalFacts & { readonly indexDims: readonly number[] } {
  // Versions published before facts were kept have indexes on plain prefixes, named by size.
  const indexes =
    facts?.indexes ?? legacyDims.map((dim) => legacyIndex(`iv_${vectorsVersion}_${dim}`, dim));
  return { ...NO_RETRIEVAL_FACTS, ...facts, indexes, indexDims: dimsOf(indexes) };
}

const legacyIndex = (name: string, dim: number): StoredIndex => ({
  ...{ name, dim, kind: 'vector', metric: 'inner_product', bytes: 0, buildMs: 0 },
  ...{ m: 16, efConstruction: 100 },
});

const dimsOf = (indexes: readonly StoredIndex[]) =>
  [...new Set(indexes.map(({ dim }) => dim))].sort((a, b) => a - b);
