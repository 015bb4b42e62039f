/** Scoring times of a model at every size, over its catalogue or as much of it as the memory of a report allows. */
import type { EvaluationReport } from '@nestrec/contracts';
import { historiesOf, type EvaluationCases } from '@nestrec/dataset';
import { measureScoring, type ScoringTime } from '@nestrec/evaluation';
import { chooseCases } from '../seen-items.js';
import type { TrainedModel } from '../trained-model.js';

/** 400 MB of vectors at 512 dimensions. */
const MOST_ITEMS = 200_000;
const QUERIES = 100;
const MOST_MS_PER_SIZE = 3_000;

export interface ScoringTimes {
  readonly times: readonly ScoringTime[];
  readonly latency: EvaluationReport['latency'];
}

export function scoringTimes(
  model: TrainedModel,
  cases: EvaluationCases,
  { maxLength, length }: { readonly maxLength: number; readonly length: number },
): ScoringTimes {
  const { sizes, numItems } = model.config;
  const width = sizes.at(-1)!;
  const items = new Float32Array(Math.min(numItems, MOST_ITEMS) * width);
  model.overItems((vectors, first) => {
    const at = (first - 1) * width;
    if (at < items.length) items.set(vectors.subarray(0, items.length - at), at);
  });
  const count = Math.min(QUERIES, cases.target.length);
  const asked = chooseCases(
    cases,
    Int32Array.from({ length: count }, (_, c) => c),
  );
  const times = measureScoring({
    ...{ items, sizes, length, mostMsPerSize: MOST_MS_PER_SIZE },
    queries: model.queries(historiesOf(asked), maxLength),
    now: () => performance.now(),
  });
  return {
    times,
    latency: {
      about:
        `one query: its products with ${items.length / width} item vectors at the size and the ` +
        `best ${length} of them, exact, in JavaScript on one thread; no index, database or network`,
      items: items.length / width,
      queries: Math.min(...times.map(({ queries }) => queries)),
    },
  };
}
