/** Measures a saved model on what the database holds now, beside the baselines. */
import type { QualityRow } from '@nestrec/contracts';
import type { Database } from '@nestrec/database';
import { Spill, type SequenceDataset, type SpillOptions } from '@nestrec/dataset';
import { InsufficientData } from '@nestrec/errors';
import type { Artifact } from '@nestrec/registry';
import { createTrainedModel, reportQuality } from '@nestrec/training';
import { readKnownEvents } from './known-events.js';
import { maxLengthOf } from './published-ranks.js';
import { splitByProtocol } from './split-by-protocol.js';
import { textBlock } from './item-features.js';

export interface EvaluationRun {
  readonly quality: QualityRow[];
  /** Events of items that the model does not know; they are left out. */
  readonly unknownItemEvents: number;
}

/**
 * Evaluates on all stored interactions of items that the model knows. A figure is honest only for events
 * that the model was not trained on: with leave-one-out these are each user's newest two, as long as the
 * data have not changed since the training.
 * @param spillOptions where events go that are too many for memory
 * @throws InsufficientData when nothing is left to ask
 */
export async function runEvaluation(
  db: Database,
  artifact: Artifact,
  protocol: QualityRow['protocol'],
  spillOptions: SpillOptions,
): Promise<EvaluationRun> {
  const spill = new Spill(spillOptions);
  try {
    return await evaluate(db, artifact, protocol, spill);
  } finally {
    spill.close();
  }
}

async function evaluate(
  db: Database,
  artifact: Artifact,
  protocol: QualityRow['protocol'],
  spill: Spill,
): Promise<EvaluationRun> {
  const { dataset, unknownItemEvents } = await readKnownEvents(db, artifact.itemIds, spill);
  const split = splitByProtocol(protocol, dataset);
  if (split.report.testCases === 0) {
    throw noTestCase(protocol, dataset);
  }
  const { config, features: spec } = artifact.manifest;
  const quality = reportQuality({
    split,
    numItems: config.numItems,
    model: createTrainedModel(config, artifact.parameters, artifact.features),
    text: textBlock(artifact.features, config.featureWidth, spec),
    maxLength: maxLengthOf(artifact.manifest),
  });
  return { quality, unknownItemEvents };
}

export const noTestCase = (protocol: QualityRow['protocol'], { offsets }: SequenceDataset) =>
  new InsufficientData({
    detail: `No user has a test case under the protocol "${protocol}" (${offsets.length - 1} users).`,
  });
