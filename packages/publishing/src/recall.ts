/**
 * How much of the exact answer a plan finds, and how fast: recall@20 over sampled queries, searched as they
 * are served. Equal scores count as equal, whichever item came.
 */
import type { Queryable } from '@nestrec/database';
import { exactSearch, type Statement, type VectorSearch } from '@nestrec/storage';

export const RECALL_AT = 20;

/** Scores of one item may differ in the last bits between two plans. */
const RELATIVE_TOLERANCE = 1e-5;

/** What plans are tried with: queries of one size, with the answers that the exact scan gives. */
export interface TrialQueries {
  readonly searches: readonly VectorSearch[];
  readonly answers: readonly ExactAnswer[];
}

interface ExactAnswer {
  readonly rows: number;
  /** Score of the last row, and a little less. */
  readonly threshold: number;
  readonly ms: number;
}

export interface TrialResult {
  /** 0..1; 1 where there are no queries or no rows. */
  readonly recallAt20: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly queries: number;
}

/** Asks the exact scan each of the queries, cut to `dim`. */
export async function prepareTrial(
  db: Queryable,
  target: Pick<VectorSearch, 'table' | 'fullDim'>,
  dim: number,
  queries: readonly Float32Array[],
): Promise<TrialQueries> {
  const searches = queries.map((query): VectorSearch => ({
    ...{ ...target, query: query.subarray(0, dim), limit: RECALL_AT },
    condition: () => 'NOT v.removed',
  }));
  const answers: ExactAnswer[] = [];
  for (const search of searches) {
    const { scores, ms } = await ask(db, exactSearch(search));
    const last = scores.at(-1) ?? 0;
    const threshold = last - RELATIVE_TOLERANCE * Math.max(1, Math.abs(last));
    answers.push({ rows: scores.length, threshold, ms });
  }
  return { searches, answers };
}

/** The exact scan's own result. */
export const exactResult = ({ answers }: TrialQueries): TrialResult =>
  resultOf(
    1,
    answers.map(({ ms }) => ms),
  );

export async function tryPlan(
  db: Queryable,
  { searches, answers }: TrialQueries,
  statementOf: (search: VectorSearch) => Statement,
): Promise<TrialResult> {
  let [found, wanted] = [0, 0];
  const times: number[] = [];
  for (const [index, search] of searches.entries()) {
    const { scores, ms } = await ask(db, statementOf(search));
    const { rows, threshold } = answers[index]!;
    wanted += rows;
    found += Math.min(rows, scores.filter((score) => score >= threshold).length);
    times.push(ms);
  }
  return resultOf(wanted === 0 ? 1 : found / wanted, times);
}

async function ask(db: Queryable, { text, params }: Statement) {
  const startedMs = performance.now();
  const { rows } = await db.query<{ score: number }>(text, params, { prepare: true });
  return { scores: rows.map((row) => row.score), ms: performance.now() - startedMs };
}

function resultOf(recallAt20: number, times: readonly number[]): TrialResult {
  const ascending = [...times].sort((a, b) => a - b);
  const at = (share: number) =>
    Math.round(1_000 * (ascending[Math.ceil(share * ascending.length) - 1] ?? 0)) / 1_000;
  return { recallAt20, p50Ms: at(0.5), p95Ms: at(0.95), queries: times.length };
}
