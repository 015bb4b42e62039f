/**
 * What a finished training says of items that it learned little or nothing of. Those with few events lean on items like
 * them (decision 0042). For those that it did not learn: how strongly they are filled from the learned items most like
 * them, and the residuals of those among its own (decision 0039).
 */
import type { ColdItems, FeatureSpec, ModelConfig, NamedArrays } from '@nestrec/contracts';
import type { Histories, Split } from '@nestrec/dataset';
import { createColdFill, type LearnedItems, type Likeness } from '@nestrec/features';
import { ITEM_RESIDUAL } from '@nestrec/parameters';
import { createRandom } from '@nestrec/random';
import type { TrainingSettings } from '../settings.js';
import { fitLikeness } from './fit-likeness.js';
import { chooseFill, type FillChoice } from './choose-fill.js';
import { leanRareItems, type LeanChoice } from './lean-rare-items.js';

export interface LearnColdItemsInput {
  readonly config: ModelConfig;
  readonly settings: TrainingSettings;
  /** As `trainModel` gave them: for raw features. */
  readonly parameters: NamedArrays;
  /** N x F. */
  readonly features: Float32Array;
  readonly spec: FeatureSpec;
  readonly split: Split;
  readonly seed: number;
  /** Rows whose residual the parameters that the training began with had learned. Default: none. */
  readonly learnedBefore?: ((row: number) => boolean) | undefined;
}

export interface LearnedColdItems {
  /** The parameters, with the residuals of items without a training event filled. */
  readonly parameters: NamedArrays;
  /** For the manifest; undefined where the model fills nothing. */
  readonly coldItems?: ColdItems | undefined;
  /** N numbers, 1 where the residual was learned; undefined where all were, or nothing is filled. */
  readonly learned?: Float32Array | undefined;
  /** By which items are compared; undefined where nothing is filled. */
  readonly likeness?: Likeness | undefined;
  /** What the fill was chosen by; undefined where nothing is filled. */
  readonly choice?: FillChoice | undefined;
  /** How rare items lean; undefined where none may. */
  readonly lean?: LeanChoice | undefined;
}

/** Needs a TensorFlow.js backend. */
export async function learnColdItems(input: LearnColdItemsInput): Promise<LearnedColdItems> {
  const { config, settings, features, spec } = input;
  const { neighbours, temperature } = settings.coldItems;
  const fills = input.parameters.has(ITEM_RESIDUAL) && config.featureWidth > 0 && neighbours > 0;
  if (!fills) return { parameters: input.parameters };
  const likeness = fitLikeness(features, config.featureWidth, spec);
  const { parameters, choice: lean } = leanRareItems({ ...input, likeness });
  const residual = parameters.get(ITEM_RESIDUAL)!;
  const learned = learnedItems(input);
  const rows = rowsWhere(learned, 1);
  const items = {
    ...{ features, spec, likeness, rows },
    ...{ residual: residual.data, width: config.sizes.at(-1)! },
  };
  const random = createRandom(input.seed).fork('cold-items');
  const choice = await chooseFill({ ...input, parameters, random }, items);
  const { strength, threshold } = choice;
  const coldItems = { strength, neighbours, temperature, threshold };
  const told = { coldItems, likeness, choice, lean };
  if (rows.length === config.numItems) return { parameters, ...told };
  const data = await filledResidual(items, coldItems, rowsWhere(learned, 0));
  const filled = new Map(parameters).set(ITEM_RESIDUAL, { shape: residual.shape, data });
  return { parameters: filled, learned, ...told };
}

/** 1 for items that a training event has, or whose residual was learned before; never all 0. */
function learnedItems({ config, split, learnedBefore }: LearnColdItemsInput): Float32Array {
  const learned = new Float32Array(config.numItems);
  markItems(split.train, learned);
  if (learnedBefore === undefined) return learned;
  return learned.map((is, row) => (is === 1 || learnedBefore(row) ? 1 : 0));
}

function markItems(histories: Histories, marks: Float32Array): void {
  for (const items of histories) for (const item of items) marks[item - 1] = 1;
}

const rowsWhere = (marks: Float32Array, value: number) =>
  [...marks.keys()].filter((row) => marks[row] === value);

/** R with these rows filled, in a copy; rows that nothing is like get none. */
async function filledResidual(
  items: LearnedItems,
  coldItems: ColdItems,
  rows: readonly number[],
): Promise<Float32Array> {
  const { features, residual, width } = items;
  const featureWidth = (features.length * width) / residual.length;
  const fill = await createColdFill(items, coldItems);
  const data = residual.slice();
  for (const row of rows) {
    const feature = features.subarray(row * featureWidth, (row + 1) * featureWidth);
    data.subarray(row * width, (row + 1) * width).fill(0);
    data.set(fill.residualOf(feature) ?? [], row * width);
  }
  return data;
}
