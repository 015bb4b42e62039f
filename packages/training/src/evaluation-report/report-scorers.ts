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
import type { TrainingProgress } from '../progress.js';
import { sasrecScorer } from '../sasrec/sasrec-scorer.js';
import { createSasrecSettings } from '../sasrec/settings.js';
import { trainSasrec } from '../sasrec/train-sasrec.js';
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
  /** SASRec is trained anew for a report, which takes long: only the widths that are asked for. */
  readonly sasrec: SasrecRequest;
}

export interface SasrecRequest {
  /** One training for each. */
  readonly widths: readonly number[];
  readonly seed: number;
  readonly onProgress?: ((width: number, progress: TrainingProgress) => void) | undefined;
}

/**
 * Baselines are fitted to the split's training events and to nothing else; SASRec is stopped by its validation cases, as
 * the model was.
 */
export async function createReportScorers({
  split,
  model,
  maxLength,
  text,
  sasrec,
}: ScorersInput): Promise<ReportScorer[]> {
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
  if (text !== null) {
    const table = normaliseRows(text.vectors, text.width);
    const scorer = newestItemScorer('text-cosine', table, text.width);
    scorers.push({ kind: 'baseline', about: 'likeness of texts to the newest item', scorer });
  }
  return [...scorers, ...(await sasrecScorers(split, numItems, sasrec))];
}

async function sasrecScorers(
  split: Split,
  numItems: number,
  { widths, seed, onProgress }: SasrecRequest,
): Promise<ReportScorer[]> {
  const scorers: ReportScorer[] = [];
  for (const width of widths) {
    const trained = await trainSasrec({
      ...{ split, numItems, seed, settings: createSasrecSettings(width) },
      onProgress: (progress) => onProgress?.(width, progress),
    });
    const { epochs, bestEpoch, config } = trained;
    scorers.push({
      kind: 'baseline',
      about:
        `self-attention over learned item ids of width ${width} (${config.blocks} blocks), full ` +
        `softmax, trained for this report: best of ${epochs.length} epochs is ${bestEpoch}`,
      scorer: sasrecScorer(trained),
    });
  }
  return scorers;
}
