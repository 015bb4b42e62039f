/** An evaluation report with something in every part, for tests of what is made of reports. */
import {
  EVALUATION_REPORT_FORMAT_VERSION,
  type Estimate,
  type EvaluationReport,
  type ReportedGroup,
  type ReportedSize,
} from '@nestrec/contracts';

export const around = (mean: number, by = 0.002): Estimate => ({
  mean,
  low: mean - by,
  high: mean + by,
});

/** One size; its share of the whole model is known by `share` +- .02. */
export const exampleSize = (dim: number, ndcg10: number, share: number): ReportedSize => ({
  ...{ dim, bytesPerItem: 4 * dim, ndcg10: around(ndcg10) },
  shareOfFull: share === 1 ? around(1, 0) : around(share, 0.02),
  overSmaller: dim === 16 ? null : around(0.005, 0.001),
  ...{ medianMs: dim / 100, p95Ms: dim / 50 },
});

const NAMES = [
  { scorer: 'model@16', dim: 16 },
  { scorer: 'model@64', dim: 64 },
  { scorer: 'model@256', dim: 256 },
  { scorer: 'popularity', dim: null },
  { scorer: 'item-knn', dim: null },
];
const figuresOf = (i: number) => ({ ndcg10: around(0.04 + i / 100), recall10: around(0.08) });
const group = (name: string, label: string, users: number): ReportedGroup => ({
  ...{ name, label, cases: 3 * users, users },
  scorers: users < 20 ? null : NAMES.map((one, i) => ({ ...one, ...figuresOf(i) })),
});

export function exampleReport(changes: Partial<EvaluationReport> = {}): EvaluationReport {
  const metrics = (i: number) =>
    Object.fromEntries(
      ['ndcg', 'recall', 'mrr'].flatMap((name) =>
        [5, 10, 20, 50].map((cutoff) => [`${name}@${cutoff}`, around(0.04 + i / 100)]),
      ),
    );
  const masking = [true, false];
  return {
    formatVersion: EVALUATION_REPORT_FORMAT_VERSION,
    createdAt: '2026-11-27T04:00:00.000Z',
    ...{ nestrecVersion: '0.1.0', seconds: 61.2 },
    model: {
      ...{ version: 'v1', createdAt: '2026-11-26T00:00:00.000Z', seed: 1, sizes: [16, 64, 256] },
      ...{ protocol: 'leave-one-out', mode: 'full', startedFrom: null },
    },
    data: {
      ...{ protocol: 'leave-one-out', validationFrom: null, testFrom: null },
      ...{ users: 1_000, items: 500, trainEvents: 9_000, cases: 1_000, askedUsers: 1_000 },
      ...{ trainedOnCases: 0, droppedBySample: 0, unknownItemEvents: 0, newerEvents: 0 },
      untrainedItemEvents: 0,
    },
    method: {
      ...{ resamples: 1_000, level: 0.95, seed: 1, minUsers: 20, listCases: 1_000 },
      ...{ listLength: 10, diversityBy: 'text', coldEvents: 'newest' },
    },
    scorers: NAMES.map((one) => ({
      ...one,
      kind: one.dim === null ? ('baseline' as const) : ('model' as const),
      about: `about ${one.scorer}`,
    })),
    quality: masking.flatMap((seenMasked) =>
      NAMES.map((one, i) => ({ ...one, seenMasked, metrics: metrics(i) })),
    ),
    comparisons: masking.flatMap((seenMasked) =>
      [16, 64, 256].flatMap((dim, i) =>
        ['popularity', 'item-knn'].map((baseline) => ({
          ...{ dim, baseline, seenMasked },
          ndcg10: around((i - 1) / 100),
          recall10: around(0),
        })),
      ),
    ),
    sizes: [exampleSize(16, 0.04, 0.8), exampleSize(64, 0.048, 0.96), exampleSize(256, 0.05, 1)],
    latency: { about: 'one query: products', items: 500, queries: 100 },
    served: [{ dim: 16, plan: 'prefix', recall_at_20: 0.998, p95_ms: 2.5, bytes: 90_000 }],
    breakdowns: [
      {
        by: 'history_length',
        groups: [group('5-9', '5-9 events', 900), group('50+', '50 events and more', 3)],
      },
      { by: 'target_popularity', groups: [group('head', 'head: 9 training events', 500)] },
      { by: 'day', groups: [group('later', 'on a later day', 400)] },
    ],
    coldStart: [0, 1, 2, 3, 5].map((events) => ({
      events,
      group: group(String(events), `${events} events known`, 300),
    })),
    lists: {
      targetPopularity: around(12),
      scorers: NAMES.map((one) => ({
        ...{ ...one, coverage: 0.3, gini: 0.9 },
        ...{ popularity: around(20), diversity: around(0.5) },
      })),
    },
    seeds: {
      versions: [
        { version: 'v1', seed: 1 },
        { version: 'v2', seed: 2 },
      ],
      sizes: [16, 64, 256].map((dim) => ({
        ...{ dim, ndcg10: [0.04, 0.042], mean: 0.041, deviation: 0.0014 },
        overBaselines: [{ baseline: 'item-knn', ndcg10: around(0.003) }],
      })),
    },
    epochs: [1, 2, 3].map((epoch) => ({
      ...{ epoch, step: 10 * epoch, loss: 9 - epoch, primary: 0.01 * epoch, lambdaMax: 0.6 },
      bySize: { '16': 0.01 * epoch, '64': 0.012 * epoch, '256': 0.013 * epoch },
    })),
    ...changes,
  };
}
