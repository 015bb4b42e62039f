/** Measures one way to search: how much it finds of the exact ranking, and how fast, alone and under load. */
import type { Queryable } from '@nestrec/database';
import type { Statement, VectorSearch } from '@nestrec/storage';

export const RECALL_AT = 20;

/** Scores of one item may differ in the last bits between two plans. */
const RELATIVE_TOLERANCE = 1e-5;

export type StatementOf = (search: VectorSearch) => Statement;

export interface Searches {
  readonly searches: readonly VectorSearch[];
  /** Least score that counts as found, per search. */
  readonly thresholds: readonly number[];
}

const scoresOf = async (db: Queryable, { text, params }: Statement) =>
  (await db.query<{ score: number }>(text, params, { prepare: true })).rows.map((row) => row.score);

/** What the exact scan answers. */
export async function answerExactly(
  db: Queryable,
  target: Pick<VectorSearch, 'table' | 'fullDim'>,
  queries: readonly Float32Array[],
  exact: StatementOf,
): Promise<Searches> {
  const searches = queries.map((query): VectorSearch => ({
    ...{ ...target, query, limit: RECALL_AT },
    condition: () => 'NOT v.removed',
  }));
  const thresholds: number[] = [];
  for (const search of searches) {
    const last = (await scoresOf(db, exact(search))).at(-1)!;
    thresholds.push(last - RELATIVE_TOLERANCE * Math.max(1, Math.abs(last)));
  }
  return { searches, thresholds };
}

/** Mean recall@20. */
export async function recallOf(
  db: Queryable,
  { searches, thresholds }: Searches,
  statementOf: StatementOf,
): Promise<number> {
  let found = 0;
  for (const [index, search] of searches.entries()) {
    const scores = await scoresOf(db, statementOf(search));
    found += scores.filter((score) => score >= thresholds[index]!).length;
  }
  return found / (searches.length * RECALL_AT);
}

export interface Speed {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Searches one after another on each of `connections`, for so long. */
export async function speedOf(
  db: Queryable,
  { searches }: Searches,
  statementOf: StatementOf,
  { connections, seconds }: { readonly connections: number; readonly seconds: number },
): Promise<Speed> {
  const statements = searches.map(statementOf);
  const times: number[] = [];
  const startedMs = performance.now();
  const endMs = startedMs + 1_000 * seconds;
  await Promise.all(
    Array.from({ length: connections }, async (_, first) => {
      for (let at = first; performance.now() < endMs; at += connections) {
        const sentMs = performance.now();
        await scoresOf(db, statements[at % statements.length]!);
        times.push(performance.now() - sentMs);
      }
    }),
  );
  const took = (performance.now() - startedMs) / 1_000;
  times.sort((a, b) => a - b);
  const at = (share: number) =>
    times[Math.min(times.length - 1, Math.floor(share * times.length))]!;
  return { perSecond: times.length / took, p50Ms: at(0.5), p99Ms: at(0.99) };
}
