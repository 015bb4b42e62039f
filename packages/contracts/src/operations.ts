/** Requests and answers about tiers, model versions and API keys: what operators and clients look up. */
import { z } from 'zod';
import { estimateSchema } from './evaluation.js';
import { idSchema } from './ids.js';
import { metricsSchema } from './manifest.js';
import { modelExitSchema } from './model-config.js';
import { indexMeasurementSchema, publishReportSchema } from './publish-reports.js';
import { scopeSchema, tierSchema } from './tiers.js';

/** How well one size did, as measured when the model was trained. */
export const measuredQualitySchema = z.strictObject({
  protocol: z.enum(['leave-one-out', 'temporal']),
  part: z.enum(['validation', 'test']),
  seen_masked: z.boolean(),
  cases: z.number().int(),
  metrics: metricsSchema,
});
export type MeasuredQuality = z.infer<typeof measuredQualitySchema>;

export const tierAnswerSchema = z.strictObject({
  ...tierSchema.shape,
  /** The size that this tier is served now; null where no model is published or none is small enough. */
  dim: z.number().int().nullable(),
  /**
   * The depth and size of the early exit that this tier is served at now; null where it is served at full depth: it
   * asks for no exit, or the published model was not trained to answer there.
   */
  exit: modelExitSchema.nullable(),
  /** Bytes of one item vector at `dim` (float32). */
  bytes_per_item: z.number().int().nullable(),
  /** What the quality gate measured on held-out cases when the version was published. */
  ndcg_at_10: estimateSchema.nullable(),
  recall_at_10: estimateSchema.nullable(),
  /** How `dim` is searched, measured when the version was published; null where it was not. */
  index: indexMeasurementSchema.nullable(),
  quality: z.array(measuredQualitySchema),
});
export type TierAnswer = z.infer<typeof tierAnswerSchema>;

export const tiersAnswerSchema = z.strictObject({
  model_version: z.string().nullable(),
  tiers: z.array(tierAnswerSchema),
});
export type TiersAnswer = z.infer<typeof tiersAnswerSchema>;

/** The tiers as they are set, without what they are worth. */
export const tierListSchema = z.strictObject({ tiers: z.array(tierSchema) });
export type TierList = z.infer<typeof tierListSchema>;

export const modelAnswerSchema = z.strictObject({
  version: z.string(),
  status: z.enum(['candidate', 'published', 'retired']),
  created_at: z.string(),
  sizes: z.array(z.number().int()),
  items: z.number().int(),
  /** The newest attempt to publish it; null: there was none. */
  publish: publishReportSchema.nullable(),
});
export type ModelAnswer = z.infer<typeof modelAnswerSchema>;

export const modelsAnswerSchema = z.strictObject({
  published: z.string().nullable(),
  /** What a rollback would serve. */
  previous: z.string().nullable(),
  models: z.array(modelAnswerSchema),
});
export type ModelsAnswer = z.infer<typeof modelsAnswerSchema>;

/** The last publish of a version that was asked for over HTTP. */
export const publishRunAnswerSchema = z.strictObject({
  version: z.string(),
  state: z.enum(['running', 'published', 'refused', 'failed']),
  /** What it does: check, embed, index, swap. */
  phase: z.string(),
  /** How far the phase is, 0 to 1. */
  share: z.number(),
  /** Code and text of the refusal or failure. */
  code: z.string().nullable(),
  detail: z.string().nullable(),
  started_at: z.string(),
  ended_at: z.string().nullable(),
});
export type PublishRunAnswer = z.infer<typeof publishRunAnswerSchema>;

export const modelDetailAnswerSchema = z.strictObject({
  ...modelAnswerSchema.shape,
  /** null: none was asked for. */
  publish_run: publishRunAnswerSchema.nullable(),
});
export type ModelDetailAnswer = z.infer<typeof modelDetailAnswerSchema>;

/** The versions after a rollback. */
export const publishAnswerSchema = z.strictObject({
  published: z.string(),
  previous: z.string().nullable(),
});
export type PublishAnswer = z.infer<typeof publishAnswerSchema>;

export const keyRequestSchema = z.strictObject({
  /** Name of the client that the key belongs to. */
  client: idSchema,
  tier: tierSchema.shape.name,
  scopes: z.array(scopeSchema).min(1).max(scopeSchema.options.length),
  /** RFC 3339 with a zone; absent: the key does not expire. */
  expires_at: z.iso.datetime({ offset: true }).optional(),
});
export type KeyRequest = z.infer<typeof keyRequestSchema>;

export const keyAnswerSchema = z.strictObject({
  /** Public id: names the key without giving it away. */
  id: z.string(),
  client: z.string(),
  tier: z.string(),
  scopes: z.array(scopeSchema),
  created_at: z.string(),
  expires_at: z.string().nullable(),
  revoked_at: z.string().nullable(),
  /** To the minute; null where the key was never used. */
  last_used_at: z.string().nullable(),
});
export type KeyAnswer = z.infer<typeof keyAnswerSchema>;

/** The only answer that ever holds the key itself. */
export const keyCreatedSchema = z.strictObject({ key: z.string(), ...keyAnswerSchema.shape });
export type KeyCreated = z.infer<typeof keyCreatedSchema>;

export const keysAnswerSchema = z.strictObject({ keys: z.array(keyAnswerSchema) });
export type KeysAnswer = z.infer<typeof keysAnswerSchema>;

const MAX_OVERLAP_SECONDS = 30 * 24 * 3_600;

export const rotationSchema = z.strictObject({
  /** How long the present key still works. */
  overlap_seconds: z
    .number()
    .int()
    .min(0)
    .max(MAX_OVERLAP_SECONDS)
    .default(24 * 3_600),
});
export type Rotation = z.input<typeof rotationSchema>;

export const rotatedKeySchema = z.strictObject({
  ...keyCreatedSchema.shape,
  /** Public id of the key that it takes over from, and when that one ends. */
  replaces: z.string(),
  replaced_expires_at: z.string(),
});
export type RotatedKey = z.infer<typeof rotatedKeySchema>;

/** A change of all working keys of a client. */
export const clientChangeSchema = z
  .strictObject({
    tier: tierSchema.shape.name.optional(),
    scopes: z.array(scopeSchema).min(1).max(scopeSchema.options.length).optional(),
  })
  .refine(({ tier, scopes }) => tier !== undefined || scopes !== undefined, {
    error: 'tier or scopes',
  });
export type ClientChange = z.infer<typeof clientChangeSchema>;
