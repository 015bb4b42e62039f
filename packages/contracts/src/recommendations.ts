/** Requests for and answers of ranked lists. */
import { z } from 'zod';
import { filterSchema } from './filters.js';
import { idSchema } from './ids.js';
import { explainSchema, planSchema, tierPlanSchema } from './plans.js';

export const DEFAULT_K = 10;
export const MAX_K = 100;
export const MAX_SESSION_ITEMS = 200;
export const MAX_EXCLUDED = 1_000;
export const MAX_BOOSTS = 10;
export const MAX_CURSOR_CHARACTERS = 8_192;

export const boostSchema = z.strictObject({
  filter: filterSchema,
  factor: z.number().min(0.1).max(10),
});
export type Boost = z.infer<typeof boostSchema>;

/** What may be asked of a list in the URL as well as in a body. */
export const listQueryShape = {
  diversity: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe(
      '0 (off) to 1: how much likeness to items already in the list counts against an item.',
    ),
  cursor: z
    .string()
    .min(1)
    .max(MAX_CURSOR_CHARACTERS)
    .optional()
    .describe('next of an earlier answer: the list goes on without the items of the pages before.'),
  because: z
    .boolean()
    .optional()
    .describe('true: each item says which recent events brought it, and how much each did.'),
};

/** What may be asked of a list in a body. */
export const listOptionsShape = {
  explain: z.boolean().optional().describe('true: the answer says how the list was found.'),
  filter: filterSchema
    .optional()
    .describe('What the items have to match: docs/serving.md, Filters.'),
  exclude: z.array(idSchema).max(MAX_EXCLUDED).optional().describe('Ids of items to leave out.'),
  boosts: z
    .array(boostSchema)
    .max(MAX_BOOSTS)
    .optional()
    .describe(
      'Items that match a filter get factor times the weight exp(score): their score moves by ln(factor).',
    ),
  ...listQueryShape,
};

export const sessionRequestSchema = z.strictObject({
  items: z.array(idSchema).max(MAX_SESSION_ITEMS),
  /** Absent: DEFAULT_K, or the tier's max_k where that is less. */
  k: z.number().int().min(1).max(MAX_K).optional(),
  dim: z.number().int().min(1).optional(),
  exclude_seen: z.boolean().default(true),
  ...listOptionsShape,
});
export type SessionRequest = z.infer<typeof sessionRequestSchema>;
/** A session as it is sent: what has a default may be left out. */
export type SessionBody = z.input<typeof sessionRequestSchema>;

export const MAX_TOKEN_CHARACTERS = 2_048;

export const userRequestSchema = z.strictObject({
  k: z.number().int().min(1).max(MAX_K).optional(),
  dim: z.number().int().min(1).optional(),
  exclude_seen: z.boolean().default(true),
  /** A token of POST /v1/events. */
  after: z.string().min(1).max(MAX_TOKEN_CHARACTERS).optional(),
  ...listOptionsShape,
});
export type UserRequest = z.infer<typeof userRequestSchema>;
/** A request as it is sent: what has a default may be left out. */
export type UserRequestBody = z.input<typeof userRequestSchema>;

export const similarRequestSchema = z.strictObject({
  k: z.number().int().min(1).max(MAX_K).optional(),
  dim: z.number().int().min(1).optional(),
  explain: listOptionsShape.explain,
  filter: listOptionsShape.filter,
  exclude: listOptionsShape.exclude,
});
/** As it is sent; the item itself is in the path. */
export type SimilarRequestBody = z.input<typeof similarRequestSchema>;

/** Why an item is in a list: one of the user's recent events. */
export const reasonSchema = z.strictObject({
  /** The item of the event. */
  item_id: z.string(),
  /** null in a session, whose events have no ids. */
  event_id: z.string().nullable(),
  /** Time of the event, RFC 3339; null in a session. */
  at: z.string().nullable(),
  /** By how much the score would be less had the event not happened. */
  contribution: z.number(),
  /** Its part of what all recent events added, 0 to 1. */
  share: z.number().min(0).max(1),
});
export type Reason = z.infer<typeof reasonSchema>;

export const rankedItemSchema = z.strictObject({
  item_id: z.string(),
  score: z.number(),
  rank: z.number().int().min(1),
  /** Only with because: the greatest reasons first; empty where no recent event speaks for the item. */
  because: z.array(reasonSchema).optional(),
});
export type RankedItem = z.infer<typeof rankedItemSchema>;

export const servedBySchema = z.strictObject({
  model_version: z.string(),
  dim: z.number().int(),
  /** Blocks that the query went through, fewer than the model's at an early exit; null for similar items, which have none. */
  blocks: z.number().int().nullable(),
  /** How the items were found. */
  plan: planSchema,
  personalised: z.boolean(),
  /** Why the answer is not only the model's on this user's events; null where it is. */
  fallback: z.enum(['unknown_user', 'no_known_items']).nullable(),
  events_in_state: z.number().int(),
  /** Time of the newest event in the state, RFC 3339; null where the state is empty. */
  state_at: z.string().nullable(),
  /** Why `dim` is less than the request was entitled to, and what it would have been; null where it is not. */
  degraded: z
    .strictObject({
      reason: z.enum(['overload']),
      dim: z.number().int(),
      /** The plan that was asked for, where another was taken: at the smaller size it would read every item. */
      plan: tierPlanSchema.optional(),
    })
    .nullable(),
});
export type ServedBy = z.infer<typeof servedBySchema>;

export const recommendationsAnswerSchema = z.strictObject({
  items: z.array(rankedItemSchema),
  /** For the next page, as cursor; null where the list ends. Absent where a list has no pages. */
  next: z.string().nullable().optional(),
  served_by: servedBySchema,
  /** How the items were found, where `explain` was asked for. */
  explain: explainSchema.optional(),
});
export type RecommendationsAnswer = z.infer<typeof recommendationsAnswerSchema>;
