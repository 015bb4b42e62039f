/**
 * fMRLRec: configuration, parameters, forward pass, loss with gradients, slicing. Pure: no I/O, no environment.
 * Beside it SASRec, the baseline that is trained (`createSasrec`).
 *
 * A training step, and what evaluation needs (backend chosen before, with `selectBackend` of @nestrec/tensor):
 * ```ts
 * const model = createModel(config, features); // features: Float32Array, N x F
 * const parameters = model.createParameters(initParameters(config, random)); // packed, on the backend
 * const { loss, gradients } = model.lossAndGradients(parameters, batch, { dropout, lossWeights, random });
 * optimizer.step(parameters, gradients); // createAdamW of @nestrec/tensor; disposes the gradients
 * const stored = model.exportParameters(parameters); // golden names, for artifacts and checkpoints
 *
 * const table = model.itemTable(parameters); // all item vectors on the backend
 * const queries = model.lastStates(parameters, table, packedHistories); // for createRanker of @nestrec/tensor
 * ```
 * Plain numbers, for serving: `itemVectors`, `embedItem`, `sliceParameters`, `lambdaMax`, `replayEvents`.
 */
export {
  createModel,
  type HistoryRows,
  type ItemTable,
  type LabelledRows,
  type LossAndGradients,
  type LossSettings,
  type Model,
  type PackedInputs,
  type StepParts,
} from './model.js';
export {
  createSasrec,
  initSasrec,
  SASREC_ITEMS,
  type Sasrec,
  type SasrecConfig,
} from './sasrec/sasrec.js';
export { createForwardPass, type ForwardPass } from './forward-pass.js';
export {
  createSampledModel,
  type ItemSample,
  type ItemStore,
  type SampledLoss,
  type SampledModel,
} from './sampled-model.js';
export type { BatchPart, StepMasks } from './step-masks.js';
export type { Parameters } from './packed-tensors.js';
export { compareGolden, type GoldenReport } from './golden.js';
