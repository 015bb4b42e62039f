/** Training runs as they are asked for and looked up: over HTTP, from the command line and by the cron. */
import { z } from 'zod';
import { modelExitSchema } from './model-config.js';

/**
 * - `full`: everything from its start, by the data alone.
 * - `incremental`: begins with the parameters of another version; items are matched by id.
 * - `query_only`: as `incremental`, but the item side stays bit-equal, so that vectors and indexes stay too.
 */
export const trainingModeSchema = z.enum(['full', 'incremental', 'query_only']);
export type TrainingMode = z.infer<typeof trainingModeSchema>;

export const trainingRunStatusSchema = z.enum([
  'queued',
  'running',
  'succeeded',
  'refused',
  'failed',
  'cancelled',
  'abandoned',
]);
export type TrainingRunStatus = z.infer<typeof trainingRunStatusSchema>;

const MAX_SIZE = 2_000;

/** What a run may be told of its model; what is left out is as in the published one, or else the default. */
export const trainingOptionsSchema = z.strictObject({
  preset: z.enum(['quality', 'paper', 'fast']).optional(),
  sizes: z
    .array(z.number().int().min(1).max(MAX_SIZE))
    .min(1)
    .max(32)
    .refine((sizes) => sizes.every((size, i) => size > (sizes[i - 1] ?? 0)), 'wanted to increase')
    .optional(),
  blocks: z.number().int().min(1).max(16).optional(),
  /** Early exits, by ascending blocks: each of fewer blocks than the model has, at one of its sizes. */
  exits: z.array(modelExitSchema).max(15).optional(),
  epochs: z.number().int().min(1).max(10_000).optional(),
  seed: z
    .number()
    .int()
    .min(0)
    .max(2 ** 31 - 1)
    .optional(),
  protocol: z.enum(['leave-one-out', 'temporal']).optional(),
  text_width: z.number().int().min(1).max(1_024).optional(),
  /** The version that modes other than `full` begin with; default: the published one. */
  start_from: z
    .string()
    .regex(/^[a-z0-9][a-z0-9_]{0,47}$/)
    .optional(),
  /** Only events of so many days before the newest. */
  window_days: z.number().int().min(1).max(36_500).optional(),
  /** Of each user only the newest so many; 0 = all. */
  max_events_per_user: z.number().int().min(0).max(1_000_000).optional(),
});
export type TrainingOptions = z.infer<typeof trainingOptionsSchema>;

export const trainingRunRequestSchema = z.strictObject({
  mode: trainingModeSchema.default('full'),
  /** Whether the candidate answers once it passes the checks. */
  publish: z.boolean().default(true),
  options: trainingOptionsSchema.default({}),
});
export type TrainingRunRequest = z.infer<typeof trainingRunRequestSchema>;
/** A run as it is asked for: what has a default may be left out. */
export type TrainingRunBody = z.input<typeof trainingRunRequestSchema>;

export const trainingRunAnswerSchema = z.strictObject({
  id: z.string(),
  requested_at: z.string(),
  requested_by: z.string(),
  mode: trainingModeSchema,
  publish: z.boolean(),
  options: trainingOptionsSchema,
  status: trainingRunStatusSchema,
  /** Who works at it, or did. */
  holder: z
    .strictObject({ pid: z.number().int(), host: z.string(), started_at: z.string() })
    .nullable(),
  finished_at: z.string().nullable(),
  heartbeat_at: z.string().nullable(),
  progress: z
    .strictObject({ stage: z.string(), share: z.number().min(0).max(1).nullable() })
    .nullable(),
  /** The version that it makes or made. */
  version: z.string().nullable(),
  published: z.boolean(),
  /** Why nothing was published, or what failed. */
  reason: z.string().nullable(),
  /** The run that was queued in its place when it was abandoned: what it was asked for is tried again there. */
  retried_as: z.string().nullable(),
});
export type TrainingRunAnswer = z.infer<typeof trainingRunAnswerSchema>;

export const trainingRunsAnswerSchema = z.strictObject({ runs: z.array(trainingRunAnswerSchema) });
export type TrainingRunsAnswer = z.infer<typeof trainingRunsAnswerSchema>;
