/** Steps of the SASRec baseline: its full softmax on this thread, by the backend's own threads where it has some. */
import type { NamedArrays } from '@nestrec/contracts';
import { historiesOf } from '@nestrec/dataset';
import { createSasrec, SASREC_ITEMS, type SasrecConfig } from '@nestrec/model';
import { restoreRandom, type RandomState } from '@nestrec/random';
import {
  createAdamW,
  createRanker,
  disposeTensors,
  hostNumbers,
  toNamedArrays,
} from '@nestrec/tensor';
import { learningRateAt } from '../learning-rate.js';
import type { TrainingSteps } from '../steps/training-steps.js';
import { sasrecQueries } from './sasrec-queries.js';
import type { SasrecSettings } from './settings.js';

export interface SasrecStepsInput {
  readonly config: SasrecConfig;
  readonly settings: SasrecSettings;
  readonly parameters: NamedArrays;
  /** The optimiser's state after `stepsDone` steps; empty at the start. */
  readonly optimizer: NamedArrays;
  readonly stepsDone: number;
  readonly totalSteps: number;
  /** Of the run's random stream; each step draws from a stream forked off it. */
  readonly random: RandomState;
}

export function createSasrecSteps(input: SasrecStepsInput): TrainingSteps {
  const { config, settings, totalSteps } = input;
  const network = createSasrec(config);
  const parameters = network.createParameters(input.parameters);
  const { learningRate: peak, finalLearningRateShare: finalShare, warmupSteps } = settings;
  // Adam as in the re-implementation: it lets nothing decay and clips nothing.
  const optimizer = createAdamW({
    lr: (step) => learningRateAt(step - 1, { peak, finalShare, warmupSteps, totalSteps }),
    ...{ betas: [0.9, 0.98], eps: 1e-8, weightDecay: 0, decays: () => false, clipNorm: Infinity },
  });
  if (input.stepsDone > 0) optimizer.restore(input.optimizer, input.stepsDone);
  return {
    replicas: 1,
    async step(batch, index) {
      const random = restoreRandom(input.random).fork(`dropout/${index}`);
      const dropout = { dropout: settings.dropout, random };
      const { loss, gradients } = network.lossAndGradients(parameters, batch, dropout);
      return { loss, ...optimizer.step(parameters, gradients) };
    },
    async rank(cases, seen) {
      const queries = sasrecQueries(network, parameters, historiesOf(cases));
      const items = hostNumbers(() => parameters.get(SASREC_ITEMS)!.clone());
      // Row 0 is the beginning of a sequence, which is never recommended.
      const ranker = createRanker(items.subarray(config.width), [config.width]);
      try {
        return ranker.rank({
          ...{ queries, targets: cases.target },
          ...{ seenOffsets: seen.offsets, seen: seen.items },
        });
      } finally {
        ranker.dispose();
      }
    },
    exportParameters: async () => toNamedArrays(parameters),
    exportOptimizer: async () => optimizer.state(),
    async dispose() {
      optimizer.dispose();
      disposeTensors(parameters);
      network.dispose();
    },
  };
}
