/** Requests for and answers of ranked lists. */
import { z } from 'zod';
import { idSchema } from './ids.js';
import { planSchema } from './plans.js';

export const DEFAULT_K = 10;
export const MAX_K = 100;
export const MAX_SESSION_ITEMS = 200;

export const sessionRequestSchema = z.strictObject({
  items: z.array(idSchema).max(MAX_SESSION_ITEMS),
  /** Absent: DEFAULT_K, or the tier's max_k where that is less. */
  k: z.number().int().min(1).max(MAX_K).optional(),
  dim: z.number().int().min(1).optional(),
  exclude_seen: z.boolean().default(true),
});
export type SessionRequest = z.infer<typeof sessionRequestSchema>;

export const rankedItemSchema = z.strictObject({
  item_id: z.string(),
  score: z.number(),
  rank: z.number().int().min(1),
});
export type RankedItem = z.infer<typeof rankedItemSchema>;

export const servedBySchema = z.strictObject({
  model_version: z.string(),
  dim: z.number().int(),
  /** How the items were found. */
  plan: planSchema,
  personalised: z.boolean(),
  /** Why the answer is not only the model's on this user's events; null where it is. */
  fallback: z.enum(['unknown_user', 'no_known_items']).nullable(),
  events_in_state: z.number().int(),
  /** Time of the newest event in the state, RFC 3339; null where the state is empty. */
  state_at: z.string().nullable(),
  /** Why `dim` is less than the request was entitled to, and what it would have been; null where it is not. */
  degraded: z.strictObject({ reason: z.enum(['overload']), dim: z.number().int() }).nullable(),
});
export type ServedBy = z.infer<typeof servedBySchema>;

export const recommendationsAnswerSchema = z.strictObject({
  items: z.array(rankedItemSchema),
  served_by: servedBySchema,
});
export type RecommendationsAnswer = z.infer<typeof recommendationsAnswerSchema>;
