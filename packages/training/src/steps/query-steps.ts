/**
 * Steps that train the query side alone: what makes item vectors (P, p, R, and with them the padding row) stays
 * as it is, to the bit, so the item table is computed once. On this thread; TensorFlow's and the native backend
 * use their own threads.
 */
import { createModel } from '@nestrec/model';
import { ITEM_PARAMETERS } from '@nestrec/parameters';
import { disposeTensors } from '@nestrec/tensor';
import { rankWithModel } from '../model-ranks.js';
import { createOptimizer } from '../optimizer.js';
import { lossSettings, type StepsInput, type TrainingSteps } from './training-steps.js';

/** Entries that do not belong to the item side. */
export function querySide<T>(entries: ReadonlyMap<string, T>): Map<string, T> {
  return new Map([...entries].filter(([name]) => !ITEM_PARAMETERS.includes(name)));
}

export function createQuerySteps(input: StepsInput): TrainingSteps {
  const { config, settings } = input;
  const model = createModel(config, input.features);
  const parameters = model.createParameters(input.parameters);
  const trained = querySide(parameters);
  const table = model.itemTable(parameters);
  const optimizer = createOptimizer(settings, config.sizes, input.totalSteps, trained);
  if (input.stepsDone > 0) optimizer.restore(input.optimizer, input.stepsDone);
  return {
    replicas: 1,
    async step(batch, index) {
      const loss = lossSettings(settings, input.random, index);
      const masks = model.parts.drawMasks(batch.rows, loss);
      const result = model.parts.rowGradients(parameters, table.rows, batch, masks, loss);
      model.parts.disposeMasks(masks);
      result.items.dispose();
      return { loss: result.loss, ...optimizer.step(trained, result.gradients) };
    },
    rank: async (cases, seen, blocks) =>
      rankWithModel(model, parameters, cases, seen, settings.maxLength, blocks),
    exportParameters: async () => model.exportParameters(parameters),
    exportOptimizer: async () => optimizer.state(),
    async dispose() {
      optimizer.dispose();
      table.dispose();
      disposeTensors(parameters);
      model.dispose();
    },
  };
}
