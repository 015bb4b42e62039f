/** How a ranked list is found among the item vectors. Names that tiers, requests and answers share. */
import { z } from 'zod';

export const planSchema = z.enum([
  /** Every row is scored at the size asked for. */
  'exact',
  /** One index on the prefix of that size. */
  'prefix',
  /** A shortlist by the index of a smaller prefix, re-ranked by greater ones. */
  'staged',
  /** A shortlist as in `staged`, and the norms of the tails prove that nothing better was left out. */
  'bound',
]);
export type Plan = z.infer<typeof planSchema>;

/** What a tier is given: one plan, or the planner's choice by size of the catalogue and filters. */
export const tierPlanSchema = z.enum(['auto', ...planSchema.options]);
export type TierPlan = z.infer<typeof tierPlanSchema>;

/** What an index holds of a prefix: 4 bytes a coordinate, 2, or 1 bit. */
export const indexKindSchema = z.enum(['vector', 'halfvec', 'bit']);
export type IndexKind = z.infer<typeof indexKindSchema>;

export const indexMetricSchema = z.enum([
  /** Greatest inner product first. */
  'inner_product',
  /** The same order as a distance, by one more coordinate that makes all items equally long. */
  'reduced_l2',
  /** Fewest differing signs first. */
  'hamming',
]);
export type IndexMetric = z.infer<typeof indexMetricSchema>;

/** How an answer was found: what `explain=true` asks for. */
export const explainSchema = z.strictObject({
  /** What the tier or the request wanted. */
  wanted: tierPlanSchema,
  plan: planSchema,
  /** Why this plan. */
  reason: z.string(),
  index: z
    .strictObject({ kind: indexKindSchema, metric: indexMetricSchema, dim: z.number().int() })
    .nullable(),
  /** Sizes that items were scored at, in order; the last is the one asked for. */
  dims: z.array(z.number().int()),
  /** Items that the index was asked for; null without an index. */
  shortlist: z.number().int().nullable(),
  ef_search: z.number().int().nullable(),
  /** Whether no item that is shown could have been better: by scoring all, or by the bound. */
  proven: z.boolean(),
  /** Parts of the statement, as the database ran it once more for this explanation. */
  stages: z.array(
    z.strictObject({ name: z.string(), rows: z.number().int(), ms: z.number().nonnegative() }),
  ),
  /** Rows that the database looked at in tables of items. */
  rows_looked_at: z.number().int(),
  /** The search itself, first attempt to last, as seen from here. */
  search_ms: z.number().nonnegative(),
  /** Plans that were run before and left the list too short. */
  tried: z.array(z.strictObject({ plan: planSchema, found: z.number().int(), why: z.string() })),
});
export type Explain = z.infer<typeof explainSchema>;
