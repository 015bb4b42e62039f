/** Who answers the cases of a report: the model at every size, and every baseline. A new one is one more entry here. */
import type { Split } from '@nestrec/dataset';
import {
  caseScorerOf,
  fitCooccurrence,
  fitItemKnn,
  fitMarkov,
  fitPopularity,
  normaliseRows,
  type CaseScorer,
} from '@nestrec/evaluation';
import type { TrainedModel } from '../trained-model.js';
import { modelScorer, newestItemScorer } from '../vector-scorer.js';

export interface ReportScorer {
  readonly kind: 'model' | 'baseline';
  /** What it goes by, in words. */
  readonly about: string;
  readonly scorer: CaseScorer;
}

export interface ScorersInput {
  readonly split: Split;
  readonly model: TrainedModel;
  /** Newest events of a history that the model is shown. */
  readonly maxLength: number;
  /** Raw text vectors N x width, or null where there are none. */
  readonly text: { readonly vectors: Float32Array; readonly width: number } | null;
}

/** Baselines are fitted to the split's training events and to nothing else. */
export function createReportScorers({
  split,
  model,
  maxLength,
  text,
}: ScorersInput): ReportScorer[] {
  const { numItems } = model.config;
  const counting = [
    { fit: fitPopularity, about: 'training events of an item' },
    { fit: fitMarkov, about: 'how often an item came directly after the newest one' },
    {
      fit: fitCooccurrence,
      about: 'what came after and beside the newest items, each step back decayed',
    },
    { fit: fitItemKnn, about: 'items that the same users had, by shrunk cosine' },
  ];
  const scorers: ReportScorer[] = [
    {
      kind: 'model',
      about: 'the first coordinates of the model',
      scorer: modelScorer(model, maxLength),
    },
    ...counting.map(({ fit, about }): ReportScorer => ({
      ...{ kind: 'baseline', about },
      scorer: caseScorerOf(fit(split.train, numItems), numItems),
    })),
  ];
  if (text === null) return scorers;
  const table = normaliseRows(text.vectors, text.width);
  const scorer = newestItemScorer('text-cosine', table, text.width);
  return [...scorers, { kind: 'baseline', about: 'likeness of texts to the newest item', scorer }];
}
