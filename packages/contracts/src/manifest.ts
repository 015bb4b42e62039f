/** The manifest of a model artifact: what the weights are, where they come from, how good they are. */
import { z } from 'zod';
import { evaluationSchema } from './evaluation.js';
import { modelConfigSchema } from './model-config.js';

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
  protocol: z.enum(['leave-one-out', 'temporal']),
  part: z.enum(['validation', 'test']),
  seenMasked: z.boolean(),
  cases: z.number().int(),
  metrics: metricsSchema,
});
export type QualityRow = z.infer<typeof qualityRowSchema>;

export const manifestFileSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9._-]*$/),
  bytes: z.number().int().min(0),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

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
  }),
  /** The training settings as given, for the record and for `--resume`. */
  training: z.record(z.string(), z.unknown()),
  quality: z.array(qualityRowSchema),
  /** What the quality gate goes by; absent in artifacts of format version 1. */
  evaluation: evaluationSchema.optional(),
  lambdaMax: z.number(),
  /** How many newest events rebuild a state: K ceil(ln(1e-7 (1 - r)) / ln r), r = lambdaMax. */
  replayEvents: z.number().int().min(1),
  files: z.array(manifestFileSchema),
});
export type Manifest = z.infer<typeof manifestSchema>;
