/** What publishing found when it judged a version: stored, answered by the API, printed by the command line. */
import { z } from 'zod';
import { estimateSchema } from './evaluation.js';
import { planSchema } from './plans.js';

/** How one tier limit fared. */
export const tierVerdictSchema = z.strictObject({
  /** The tier's greatest dimension; null: no limit. */
  max_dim: z.number().int().nullable(),
  /** The exit that the tier asks for, in blocks; absent: none. */
  exit_blocks: z.number().int().optional(),
  /** The candidate's size that serves it; null where it has none so small. */
  dim: z.number().int().nullable(),
  /** `unknown`: nothing was measured, or on too few users to say anything. */
  verdict: z.enum(['passed', 'failed', 'unknown']),
  ndcg_at_10: estimateSchema.nullable(),
  recall_at_10: estimateSchema.nullable(),
  /** NDCG@10 of popularity and of the published version on the same cases. */
  popularity: z.number().nullable(),
  published: z.number().nullable(),
  /** NDCG@10 of the version minus that of the other. */
  over_popularity: estimateSchema.nullable(),
  over_published: estimateSchema.nullable(),
  /** In words, with numbers. */
  reason: z.string(),
});
export type TierVerdict = z.infer<typeof tierVerdictSchema>;

/** How one size is searched, and what was measured of it. */
export const indexMeasurementSchema = z.strictObject({
  dim: z.number().int(),
  plan: planSchema,
  /** Share of the exact top 20 that it finds. */
  recall_at_20: z.number(),
  /** Of one search in milliseconds, 95th percentile; null where it was not measured. */
  p95_ms: z.number().nullable(),
  /** Of the index; 0 where there is none. */
  bytes: z.number().int(),
});
export type IndexMeasurement = z.infer<typeof indexMeasurementSchema>;

export const publishReportSchema = z.strictObject({
  version: z.string(),
  /** RFC 3339. */
  at: z.string(),
  outcome: z.enum(['published', 'refused']),
  /** The version that was published then; null: none. */
  against: z.string().nullable(),
  /** Who had it published although it was refused; null: nobody had to. */
  forced_by: z.string().nullable(),
  /** Why it was refused, or would have been without force. */
  reasons: z.array(z.string()),
  /** Share of the published NDCG@10 that a candidate may lack. */
  margin: z.number(),
  min_recall: z.number(),
  /** Held-out cases and their users; null: nothing was measured. */
  cases: z.number().int().nullable(),
  users: z.number().int().nullable(),
  tiers: z.array(tierVerdictSchema),
  indexes: z.array(indexMeasurementSchema),
});
export type PublishReport = z.infer<typeof publishReportSchema>;
