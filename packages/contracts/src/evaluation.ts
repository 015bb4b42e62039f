/**
 * What a candidate's held-out cases say of it: beside popularity, and beside the version that was published
 * then. Means with intervals, no case of any user: an artifact must not outlive an erasure.
 */
import { z } from 'zod';

/** A mean over cases and the interval of a bootstrap by user around it. */
export const estimateSchema = z.strictObject({
  mean: z.number(),
  low: z.number(),
  high: z.number(),
});
export type Estimate = z.infer<typeof estimateSchema>;

/** One size of the candidate beside the size of the published model that serves the same tiers. */
export const sizeComparisonSchema = z.strictObject({
  /** Tiers with this limit and more, up to that of the next row, get these sizes. */
  limit: z.number().int().min(1),
  /** The candidate's; null where its smallest size is above the limit. Then nothing below is known. */
  dim: z.number().int().min(1).nullable(),
  /** The published model's; null where it has none so small, or where none was compared. */
  publishedDim: z.number().int().min(1).nullable(),
  ndcg10: estimateSchema.nullable(),
  recall10: estimateSchema.nullable(),
  /** NDCG@10 of popularity, and the candidate's minus it, on the same cases. */
  popularity: z.number().nullable(),
  overPopularity: estimateSchema.nullable(),
  /** NDCG@10 of the published model on the compared cases, and the candidate's minus it. */
  published: z.number().nullable(),
  overPublished: estimateSchema.nullable(),
});
export type SizeComparison = z.infer<typeof sizeComparisonSchema>;

/** Test cases, whole catalogue, seen items masked. */
export const evaluationSchema = z.strictObject({
  protocol: z.enum(['leave-one-out', 'temporal']),
  /** Cuts of the temporal protocol: what comes before the first was trained on, cases come from the second. */
  validationFrom: z.string().nullable(),
  testFrom: z.string().nullable(),
  cases: z.number().int(),
  users: z.number().int(),
  /** The version that was published; null where none was, or none could be compared. */
  against: z.string().nullable(),
  /** Cases that the published model was not trained on: only these compare the two. */
  comparedCases: z.number().int(),
  comparedUsers: z.number().int(),
  /** By `limit`, ascending. */
  sizes: z.array(sizeComparisonSchema),
  /**
   * What tiers get that ask for an exit after `blocks` blocks: each model at that exit where it has it, else at full
   * depth. By `blocks`, ascending; absent where neither model has an exit.
   */
  exits: z
    .array(
      z.strictObject({ blocks: z.number().int().min(1), sizes: z.array(sizeComparisonSchema) }),
    )
    .optional(),
});
export type Evaluation = z.infer<typeof evaluationSchema>;
