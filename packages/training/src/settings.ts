/**
 * The settings of a training run as one plain record: every number that may change the result is here,
 * so that the record in a manifest and a seed repeat the run.
 *
 * Knows nothing about data or tensors. Arrays hold one value per nested size, smallest first.
 */
import { z } from 'zod';
import type { ModelConfig } from '@nestrec/contracts';
import { InvalidConfig, excerpt } from '@nestrec/errors';

const share = z.number().min(0).max(0.95);

export const trainingSettingsSchema = z.strictObject({
  /** Name of the preset that the record started from; for the record only. */
  preset: z.string().min(1).max(64),
  /** Users (windows) per optimiser step. */
  usersPerBatch: z.number().int().min(1).max(65_536),
  /** Longest window of a history, in events (L). */
  maxLength: z.number().int().min(1).max(1_024),
  /** `last`: only the newest window of a user; `all`: every window, so that no label is lost. */
  windows: z.enum(['last', 'all']),
  /** Epochs at most; the cosine schedule ends here. */
  maxEpochs: z.number().int().min(1).max(10_000),
  /** Evaluations without a better mean NDCG@10 after which training stops; 0 = never stop early. */
  patience: z.number().int().min(0).max(10_000),
  /** Evaluate on validation every so many epochs (and after the last). */
  evaluateEveryEpochs: z.number().int().min(1).max(10_000),
  /** Validation cases used during training, a seeded sample; 0 = all. The report asks up to 100,000 a part. */
  evaluationCases: z.number().int().min(0),
  /** Peak learning rate of AdamW. */
  learningRate: z.number().positive().max(10),
  /** The cosine schedule ends at this share of the peak. */
  finalLearningRateShare: z.number().min(0).max(1),
  /** Steps of linear warm-up; at most a tenth of all steps are spent on it. */
  warmupSteps: z.number().int().min(0),
  beta1: z.number().min(0).max(0.9999),
  beta2: z.number().min(0).max(0.99999),
  epsilon: z.number().positive().max(1),
  /** Factor on the learning rate of the coordinates of each segment, and of what makes them. */
  segmentRates: z.array(z.number().min(0).max(100)),
  /** Decoupled weight decay. */
  weightDecay: z.number().min(0).max(1),
  /** What decays: only matrices (biases, gains and the recurrence are left alone), or everything. */
  decays: z.enum(['matrices', 'all']),
  /** Gradients are scaled down to this global norm. */
  clipNorm: z.number().positive(),
  /** Dropout of the item vectors that enter the first block, per segment. */
  dropout: z.array(share),
  /** Dropout inside the blocks (of the recurrence, the gated unit and the output), per segment. */
  blockDropout: z.array(share),
  /** Share of (item, segment) entries of the ID residual left out in a step, per segment. */
  residualDropout: z.array(share),
  /** Weight of each size in the loss; normalised to sum 1. */
  lossWeights: z.array(z.number().min(0)),
  /** Weight of each early exit of the model in the loss, beside the full depth's, which is 1; normalised to sum 1. */
  exitWeight: z.number().positive().max(100),
  /**
   * By segment: how much of the gradient by scores of all larger sizes reaches its coordinates (kappa of model.md section
   * 6a): 1 = the loss's own gradient, 0 = the segment serves its own size and larger ones build on it as it is.
   */
  prefixShares: z.array(z.number().min(0).max(1)),
  /** Standard deviation of the ID residual at the start, as a share of 1 / sqrt(D). */
  residualStart: z.number().min(0).max(10),
  /**
   * How item vectors start: `drawn`, or `spectral`, by what histories and features say about which items are alike;
   * the recurrence and the gated unit then start silent.
   */
  itemStart: z.enum(['drawn', 'spectral']),
  /** Weight of features beside histories in a spectral start. */
  spectralFeatureWeight: z.number().min(0).max(100),
  /** How items that were not learned are to get a residual: from the learned items most like them by features. */
  coldItems: z.strictObject({
    /** Learned items that one is filled from; 0 = cold items have their features alone. */
    neighbours: z.number().int().min(0).max(1_000),
    /** Of the softmax over their likeness (a cosine): the smaller, the more the likest counts. */
    temperature: z.number().positive().max(100),
    /**
     * Share of the learned items that are treated as cold, once trained, to choose how strong the fill is: by NDCG@10 of
     * their validation events.
     */
    heldOutShare: z.number().min(0).max(0.5),
    /**
     * Items with fewer training events than this lean on those with as many or more that are most like them, by as much as
     * serves validation events best; 0 = every item keeps what it has learned.
     */
    rareBelow: z.number().int().min(0).max(1_000_000),
  }),
  /** Train on linearly whitened features; the transform is folded into the projector at the end. */
  whitenFeatures: z.boolean(),
  /** Wider features are cut to so many leading directions once they are whitened; 0 = never cut. */
  featureComponents: z.number().int().min(0),
  /** Items per chunk of the fused cross-entropy; memory is labels x this. 0 = chosen by the backend. */
  itemChunk: z.number().int().min(0),
  /** Above this many items a step sees a sample of them instead of all; 0 = always. */
  fullSoftmaxItems: z.number().int().min(0),
  /**
   * Items drawn uniformly for a step's sample, with replacement. At least 1, or items that were never taken would
   * be pushed away by nothing.
   */
  uniformNegatives: z.number().int().min(1).max(1_000_000),
  /** Items drawn by popularity for a step's sample, with replacement, beside the batch's own. */
  popularityNegatives: z.number().int().min(0).max(1_000_000),
});
export type TrainingSettings = z.infer<typeof trainingSettingsSchema>;

/** A preset is a record whose per-size arrays are computed from the ladder of sizes. */
type Preset = (sizes: readonly number[]) => TrainingSettings;

/** Interpolates on log2(size) through (size, value) points, flat outside them. */
function ladder(sizes: readonly number[], points: readonly (readonly [number, number])[]) {
  return sizes.map((size) => {
    const above = points.findIndex(([at]) => at >= size);
    if (above === 0) return points[0]![1];
    if (above === -1) return points.at(-1)![1];
    const [lowAt, low] = points[above - 1]!;
    const [highAt, high] = points[above]!;
    const position = Math.log2(size / lowAt) / Math.log2(highAt / lowAt);
    return Number((low + position * (high - low)).toFixed(4));
  });
}

/**
 * Weights that fall by `ratio` from each size to the next: small sizes are what a shared prefix hurts
 * most, and they need the direct gradient to come level with models trained alone.
 */
function steepWeights(sizes: readonly number[], ratio: number): number[] {
  const raw = sizes.map((_, i) => ratio ** i);
  const total = raw.reduce((sum, w) => sum + w, 0);
  return raw.map((w) => Number((w / total).toFixed(6)));
}

const risingDropout = (sizes: readonly number[]) =>
  ladder(sizes, [
    [16, 0],
    [32, 0.1],
    [64, 0.25],
    [128, 0.45],
    [256, 0.6],
  ]);

const OPTIMISER = {
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-9,
  clipNorm: 5,
  weightDecay: 0.01,
} as const;

/** Default: what was measured best on validation (docs/experiments.md). */
const quality: Preset = (sizes) => ({
  preset: 'quality',
  usersPerBatch: 256,
  maxLength: 50,
  windows: 'all',
  maxEpochs: 8,
  patience: 3,
  evaluateEveryEpochs: 1,
  evaluationCases: 5_000,
  learningRate: 0.002,
  finalLearningRateShare: 0.1,
  warmupSteps: 100,
  segmentRates: ladder(sizes, [
    [16, 1.2],
    [32, 1.1],
    [64, 1],
    [128, 1],
    [256, 0.8],
  ]),
  ...OPTIMISER,
  decays: 'matrices',
  // What enters goes on to the score beside the blocks: small sizes cannot spare it. Blocks are what learns too much.
  dropout: ladder(sizes, [
    [16, 0],
    [32, 0.1],
    [64, 0.25],
    [128, 0.4],
  ]),
  blockDropout: ladder(sizes, [
    [16, 0.2],
    [32, 0.3],
    [64, 0.4],
  ]),
  residualDropout: ladder(sizes, [
    [16, 0.05],
    [32, 0.1],
    [64, 0.15],
    [128, 0.25],
    [256, 0.35],
  ]),
  lossWeights: steepWeights(sizes, 0.7),
  exitWeight: 1,
  // Small sizes are theirs first; what larger ones need of them grows with the size.
  prefixShares: ladder(sizes, [
    [16, 0],
    [32, 0.25],
    [64, 0.5],
    [128, 0.75],
    [256, 1],
  ]),
  residualStart: 0.5,
  itemStart: 'spectral',
  spectralFeatureWeight: 0.5,
  coldItems: { neighbours: 5, temperature: 0.05, heldOutShare: 0.05, rareBelow: 7 },
  whitenFeatures: true,
  featureComponents: 512,
  itemChunk: 0,
  fullSoftmaxItems: 200_000,
  uniformNegatives: 4_096,
  popularityNegatives: 4_096,
});

/** The paper's recipe (model.md section 2), for comparison; its model by `modelSwitches('paper')`. */
const paper: Preset = (sizes) => ({
  ...quality(sizes),
  preset: 'paper',
  usersPerBatch: 32,
  windows: 'last',
  maxEpochs: 500,
  patience: 10,
  evaluationCases: 0,
  learningRate: 0.001,
  finalLearningRateShare: 0,
  segmentRates: sizes.map(() => 1),
  prefixShares: sizes.map(() => 1),
  decays: 'all',
  itemStart: 'drawn',
  dropout: sizes.map(() => 0.5),
  blockDropout: sizes.map(() => 0.5),
  residualDropout: sizes.map(() => 0),
  lossWeights: sizes.map(() => Number((1 / sizes.length).toFixed(6))),
  whitenFeatures: false,
  featureComponents: 0,
});

/** A small shop in a minute or two on two cores: small batches, a higher rate, a validation sample. */
const fast: Preset = (sizes) => ({
  ...quality(sizes),
  preset: 'fast',
  usersPerBatch: 64,
  windows: 'last',
  evaluationCases: 1_000,
  learningRate: 0.006,
  warmupSteps: 50,
  segmentRates: sizes.map(() => 1),
  prefixShares: sizes.map(() => 1),
  featureComponents: 128,
  dropout: risingDropout(sizes),
  blockDropout: risingDropout(sizes),
  lossWeights: steepWeights(sizes, 0.6),
});

/** What a preset asks of the model beyond its sizes. */
export type ModelSwitches = Pick<ModelConfig, 'itemResidual' | 'scoreScale' | 'rMin' | 'rMax'>;

const OURS: ModelSwitches = { itemResidual: true, scoreScale: true, rMin: 0, rMax: 0.5 };

/** The paper's model has neither ID residual nor score scale, and a shorter memory. */
export function modelSwitches(preset: PresetName): ModelSwitches {
  return preset === 'paper' ? { itemResidual: false, scoreScale: false, rMin: 0, rMax: 0.1 } : OURS;
}

const PRESETS = { quality, paper, fast } as const;
export type PresetName = keyof typeof PRESETS;
export const PRESET_NAMES = Object.keys(PRESETS) as readonly PresetName[];

/**
 * The settings of a preset for a ladder of sizes, with single settings replaced.
 *
 * @throws InvalidConfig naming every wrong setting, what was got and what is wanted.
 */
export function createSettings(
  preset: PresetName,
  sizes: readonly number[],
  overrides: Partial<TrainingSettings> = {},
): TrainingSettings {
  const make = PRESETS[preset] as Preset | undefined;
  if (!make) {
    throw new InvalidConfig({
      detail: `training preset "${excerpt(preset)}" is not one of ${PRESET_NAMES.join(', ')}`,
    });
  }
  return checkSettings({ ...make(sizes), ...overrides }, sizes);
}

/** Epochs of a run that begins with parameters which are good already. */
const WARM_EPOCHS = 3;
/** Share of the preset's learning rate: enough for what is new, little enough to keep what is known. */
const WARM_RATE_SHARE = 0.3;

/**
 * What a run that begins with another version's parameters changes in the settings of a preset; measured in
 * docs/experiments.md.
 */
export function warmStartSettings(
  settings: TrainingSettings,
  mode: 'incremental' | 'query_only',
): TrainingSettings {
  const warm = {
    ...settings,
    maxEpochs: Math.min(settings.maxEpochs, WARM_EPOCHS),
    learningRate: settings.learningRate * WARM_RATE_SHARE,
    // Directions that were cut would be lost to the parameters that are there.
    featureComponents: 0,
  };
  if (mode === 'incremental') return warm;
  // The item side is served as it stands, so it is trained against as it stands.
  const residualDropout = settings.residualDropout.map(() => 0);
  return { ...warm, residualDropout, whitenFeatures: false };
}

/** Parses settings that come from outside (a manifest, a request) and holds them to the sizes. */
export function checkSettings(value: unknown, sizes: readonly number[]): TrainingSettings {
  const parsed = trainingSettingsSchema.safeParse(value);
  if (!parsed.success) {
    const faults = parsed.error.issues.map((i) => `${i.path.join('.')}: ${i.message}`);
    throw new InvalidConfig({ detail: `training settings: ${faults.join('; ')}` });
  }
  const settings = parsed.data;
  for (const name of [
    'dropout',
    'blockDropout',
    'residualDropout',
    'segmentRates',
    'prefixShares',
    'lossWeights',
  ] as const) {
    if (settings[name].length !== sizes.length) {
      throw new InvalidConfig({
        detail:
          `training setting ${name} has ${settings[name].length} values, the model has ` +
          `${sizes.length} sizes (${sizes.join(', ')}): give one value per size`,
      });
    }
  }
  if (settings.lossWeights.reduce((sum, w) => sum + w, 0) <= 0) {
    throw new InvalidConfig({ detail: 'training setting lossWeights: at least one must be > 0' });
  }
  if (settings.featureComponents > 0 && !settings.whitenFeatures) {
    throw new InvalidConfig({
      detail:
        `training setting featureComponents is ${settings.featureComponents}, but whitenFeatures is ` +
        'false: only whitened features are cut; set whitenFeatures to true or featureComponents to 0',
    });
  }
  return settings;
}
