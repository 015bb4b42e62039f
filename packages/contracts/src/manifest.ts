/** The manifest of a model artifact: what the weights are, where they come from, how good they are. */
import { z } from 'zod';
import { evaluationSchema } from './evaluation.js';
import { modelConfigSchema } from './model-config.js';
import { trainingModeSchema } from './training-runs.js';

export const MANIFEST_FORMAT_VERSION = 2;

export const modalitySpecSchema = z.strictObject({
  name: z.string().min(1).max(64),
  /** Width of this modality's block in f. */
  width: z.number().int().min(1),
  /** `text` is encoded by the artifact's own encoder; `vector` comes with the item. */
  kind: z.enum(['text', 'vector']),
  normalisation: z.enum(['l2', 'none']),
});
export type ModalitySpec = z.infer<typeof modalitySpecSchema>;

/** f = [modality blocks..., one missing indicator per modality when `missingIndicators`]. */
export const featureSpecSchema = z.strictObject({
  modalities: z.array(modalitySpecSchema),
  missingIndicators: z.boolean(),
});
export type FeatureSpec = z.infer<typeof featureSpecSchema>;

/** Metrics of one scorer: `ndcg@10`, `recall@10`, `mrr@10`, ... */
export const metricsSchema = z.record(z.string(), z.number());
export type Metrics = z.infer<typeof metricsSchema>;

export const qualityRowSchema = z.strictObject({
  /** `model@64`, `popularity`, `markov`, `cooccurrence`, `text-cosine`. */
  scorer: z.string(),
  dim: z.number().int().nullable(),
  /** Of an early exit of the model, `exit1@64` after 1 block at 64; absent: at full depth. */
  blocks: z.number().int().min(1).optional(),
  protocol: z.enum(['leave-one-out', 'temporal']),
  part: z.enum(['validation', 'test']),
  seenMasked: z.boolean(),
  cases: z.number().int(),
  metrics: metricsSchema,
});
export type QualityRow = z.infer<typeof qualityRowSchema>;

/** One epoch of a training. */
export const epochRecordSchema = z.strictObject({
  /** Counted from 1. */
  epoch: z.number().int().min(1),
  /** Steps done at its end. */
  step: z.number().int().min(0),
  /** Mean training loss over its labels, in nats. */
  loss: z.number(),
  /** The primary metric; null where the epoch was not evaluated. */
  primary: z.number().nullable(),
  /** NDCG@10 on validation, seen masked, by size; empty where not evaluated. */
  bySize: metricsSchema,
  /** The same at each early exit of the model, at its sizes; absent where it has none or was not evaluated. */
  byExit: z
    .array(z.strictObject({ blocks: z.number().int().min(1), bySize: metricsSchema }))
    .optional(),
  /** max |lambda| over blocks and coordinates: how long the memory is. */
  lambdaMax: z.number(),
});
export type EpochRecord = z.infer<typeof epochRecordSchema>;

/** How an item that the model has not learned gets its residual (docs/model.md, section 6b). */
export const coldItemsSchema = z.strictObject({
  /** Factor on the mean residual of the items that are most like it; 0 = it gets none. */
  strength: z.number().min(0).max(10),
  /** So many learned items are taken, the likest by features. */
  neighbours: z.number().int().min(1).max(1_000),
  /** Of the softmax over their likeness: the smaller, the more the likest counts. */
  temperature: z.number().positive().max(100),
  /** Likeness of a neighbour without residual that takes part in the softmax; -1 = every item is filled in full. */
  threshold: z.number().min(-1).max(1),
});
export type ColdItems = z.infer<typeof coldItemsSchema>;

export const manifestFileSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9._-]*$/),
  bytes: z.number().int().min(0),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

/** Erasures that the training data had behind them. */
export const erasureProofSchema = z.strictObject({
  /** Users with a tombstone when the data were read: nothing that they did before it is among the data. */
  users: z.number().int().min(0),
  /** Over the users' hashes (SHA-256 each, 32 bytes) in bytewise order, one after the other. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Erasures at or after these places of the log came later: what such a user did may be in the weights. */
  positions: z.array(
    z.strictObject({
      topic: z.string(),
      partition: z.number().int().min(0),
      nextOffset: z.string().regex(/^\d+$/),
    }),
  ),
});
export type ErasureProof = z.infer<typeof erasureProofSchema>;

export const manifestSchema = z.strictObject({
  formatVersion: z.literal(MANIFEST_FORMAT_VERSION),
  version: z.string().regex(/^[a-z0-9][a-z0-9_]{0,47}$/),
  createdAt: z.string(),
  nestrecVersion: z.string(),
  commit: z.string().nullable(),
  seed: z.number().int(),
  config: modelConfigSchema,
  features: featureSpecSchema,
  /** SHA-256 over the item ids in order, each followed by a newline. */
  itemIdsSha256: z.string(),
  data: z.strictObject({
    users: z.number().int(),
    items: z.number().int(),
    interactions: z.number().int(),
    from: z.string().nullable(),
    to: z.string().nullable(),
    /** Every item that was written before this was read in its form of then; absent in older models. */
    catalogueAsOf: z.string().optional(),
    /** Which of the stored events were read, absent in older models: all. Null: no limit. */
    window: z
      .strictObject({
        since: z.string().nullable(),
        maxEventsPerUser: z.number().int().min(1).nullable(),
        /** Events of users with more of them, left out. */
        cappedEvents: z.number().int().min(0),
      })
      .optional(),
    /** Events of items that the model does not know, left out; only where the item side is frozen. */
    unknownItemEvents: z.number().int().min(0).optional(),
    erasures: erasureProofSchema.optional(),
  }),
  /** How the weights came about; absent in older models and in slices. */
  origin: z
    .strictObject({
      mode: trainingModeSchema,
      /** The version whose parameters it began with; null for `full`. */
      startedFrom: z.string().nullable(),
      /**
       * Erasures that the parameters it began with had behind them, however many warm starts ago these were
       * trained in full; null where nobody wrote them down. Absent for `full`.
       */
      startErasures: erasureProofSchema.nullable().optional(),
    })
    .optional(),
  /** The training settings as given, for the record and for `--resume`. */
  training: z.record(z.string(), z.unknown()),
  /** How items that the model has not learned are embedded; absent in older models: by their features alone. */
  coldItems: coldItemsSchema.optional(),
  /** What became of each epoch, for curves; absent in older models and in slices. */
  epochs: z.array(epochRecordSchema).optional(),
  quality: z.array(qualityRowSchema),
  /** What the quality gate goes by; absent in artifacts of format version 1. */
  evaluation: evaluationSchema.optional(),
  lambdaMax: z.number(),
  /** How many newest events rebuild a state: K ceil(ln(1e-7 (1 - r)) / ln r), r = lambdaMax. */
  replayEvents: z.number().int().min(1),
  files: z.array(manifestFileSchema),
});
export type Manifest = z.infer<typeof manifestSchema>;
