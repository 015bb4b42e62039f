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

/** How long each way is timed before the next has its turn. */
const SLICE_SECONDS = 0.5;

/**
 * Searches one after another on each of `connections`; several ways take turns, so that their ratio is of the
 * same minute of the machine.
 * @param seconds for each way
 */
export async function speedsOf(
  db: Queryable,
  { searches }: Searches,
  ways: readonly StatementOf[],
  { connections, seconds }: { readonly connections: number; readonly seconds: number },
): Promise<Speed[]> {
  const timings = ways.map((statementOf) => ({
    ...{ statements: searches.map(statementOf), next: 0, tookMs: 0 },
    times: new Array<number>(),
  }));
  for (let spent = 0; spent < seconds; spent += SLICE_SECONDS) {
    for (const timing of timings) {
      const startedMs = performance.now();
      const endMs = startedMs + 1_000 * SLICE_SECONDS;
      const searchOn = async () => {
        while (performance.now() < endMs) {
          const statement = timing.statements[timing.next++ % timing.statements.length]!;
          const sentMs = performance.now();
          await scoresOf(db, statement);
          timing.times.push(performance.now() - sentMs);
        }
      };
      await Promise.all(Array.from({ length: connections }, searchOn));
      timing.tookMs += performance.now() - startedMs;
    }
  }
  return timings.map(({ times, tookMs }) => {
    times.sort((a, b) => a - b);
    const at = (share: number) =>
      times[Math.min(times.length - 1, Math.floor(share * times.length))]!;
    return { perSecond: times.length / (tookMs / 1_000), p50Ms: at(0.5), p99Ms: at(0.99) };
  });
}
