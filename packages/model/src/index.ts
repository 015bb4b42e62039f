/**
 * fMRLRec: configuration, parameters, forward pass, loss with gradients, slicing. Pure: no I/O, no environment.
 *
 * The API that training and evaluation use (backend chosen before with `selectBackend` of @nestrec/tensor):
 * ```ts
 * const model = createModel(config, features);            // features: Float32Array N x F; holds constant tensors
 * const params = model.createParameters(initParameters(config, random));   // ReadonlyMap<string, tf.Variable>, packed
 * const optimizer = createAdamW({ lr: (step) => .., betas, eps, weightDecay, decays: (name) => boolean, clipNorm });
 * const { loss, lossBySize, gradients } = model.lossAndGradients(params, batch, {
 *   lossWeights,            // per size, any positive scale (normalised to sum 1); default equal
 *   dropout: number[],      // rate per segment, all four sites; default none
 *   residualDrop: number[], // rate per segment of dropping R_i, per item; default none
 *   random,                 // Random: draws a few ints a call; required when any rate > 0
 * });
 * const { gradientNorm } = optimizer.step(params, gradients);   // clips, updates params in place, disposes gradients
 * model.exportParameters(params): NamedArrays              // golden names, for the artifact and checkpoints
 * model.dispose(); disposeParameters(params);
 * // evaluation
 * const table = model.itemTable(params);                  // all item vectors on the device; table.dispose()
 * const states = model.lastStates(params, table, packedHistories);   // Float32Array [users x D], order of lastRows
 * // ranks: `createRanker(itemVectors, sizes).rank({queries, targets, seenOffsets, seen}): {all, masked}` of @nestrec/tensor
 * //   (the interface of training/rank-by-size.ts, without tf.greater: its broadcast costs 60 ns a score on wasm)
 * // item vectors as plain numbers: itemVectors(config, parameters, features, from, to): Float32Array
 * ```
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
} from './model.js';
export { packArrays, unpackArrays, type Parameters } from './packing.js';
export {
  initParameters,
  ITEM_RESIDUAL,
  LOG_SCORE_SCALE,
  parameterShapes,
  PROJECTOR_BIAS,
  PROJECTOR_WEIGHT,
} from './parameters.js';
export { embedItem, itemVectors } from './item-vectors.js';
export { lambdaMax, replayEvents } from './memory.js';
export { sliceParameters, type SlicedModel } from './slice.js';
export { compareGolden, type GoldenReport } from './golden.js';
