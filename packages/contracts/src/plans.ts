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
