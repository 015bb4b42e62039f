/** Tiers: what a client's key entitles it to, and what becomes of its requests under overload. */
import { z } from 'zod';
import { tierPlanSchema } from './plans.js';

/** Under overload: refuse with 503, or serve a smaller dimension for as long as there is one. */
export const overloadPolicySchema = z.enum(['refuse', 'step_down']);
export type OverloadPolicy = z.infer<typeof overloadPolicySchema>;

/** Above these a limit says nothing: one process of this platform serves far less. */
const MAX_REQUESTS_PER_SECOND = 100_000;
const MAX_BURST = 1_000_000;
const MAX_CONCURRENCY = 10_000;

export const tierSchema = z.strictObject({
  name: z
    .string()
    .min(1)
    .max(64)
    .regex(/^[a-z][a-z0-9-]*$/),
  /** Greatest dimension; null means all of the published model's. */
  max_dim: z.number().int().min(1).nullable(),
  /**
   * Blocks that a query goes through; null means all of the published model's. With `max_dim` it names an exit of the
   * model; one that was not trained to answer there serves at full depth.
   */
  exit_blocks: z.number().int().min(1).max(15).nullable(),
  max_k: z.number().int().min(1),
  /** Sustained rate of one client over all its keys and all processes; null: no limit. */
  requests_per_second: z.number().int().min(1).max(MAX_REQUESTS_PER_SECOND).nullable(),
  /**
   * Requests that a client may send at once: its quota in a sliding window of burst / requests_per_second
   * seconds. Null: those of one second.
   */
  burst: z.number().int().min(1).max(MAX_BURST).nullable(),
  /** Requests of one client in flight at once, in each process; null: no limit. */
  max_concurrency: z.number().int().min(1).max(MAX_CONCURRENCY).nullable(),
  /** How ranked lists are found. */
  plan: tierPlanSchema,
  overload: overloadPolicySchema,
});
export type Tier = z.infer<typeof tierSchema>;

const limits = tierSchema.omit({ name: true }).shape;

/** What a tier of a given name is to be. Limits must be said, or be said not to be (null). */
export const tierRequestSchema = z
  .strictObject({
    ...limits,
    exit_blocks: limits.exit_blocks.default(null),
    burst: limits.burst.default(null),
    max_concurrency: limits.max_concurrency.default(null),
    plan: limits.plan.default('auto'),
    overload: limits.overload.default('step_down'),
  })
  .refine(({ burst, requests_per_second: rate }) => burst === null || burst >= (rate ?? Infinity), {
    path: ['burst'],
    error: 'at least requests_per_second, and null without one',
  });
export type TierRequest = z.input<typeof tierRequestSchema>;

/** Scopes of an API key. */
export const scopeSchema = z.enum([
  'recommend',
  'events:write',
  'users:erase',
  'catalogue:write',
  'admin',
]);
export type Scope = z.infer<typeof scopeSchema>;

/** What a tier is where nothing else is said. */
const COMMON = { exit_blocks: null, plan: 'auto', overload: 'step_down' } as const;

/** `full` is the operator's own: without limits of rate, so that imports and measurements are not in its way. */
export const DEFAULT_TIERS: readonly Tier[] = [
  {
    name: 'basic',
    max_dim: 16,
    max_k: 20,
    requests_per_second: 100,
    burst: 200,
    max_concurrency: 50,
    ...COMMON,
  },
  {
    name: 'standard',
    max_dim: 64,
    max_k: 50,
    requests_per_second: 1_000,
    burst: 2_000,
    max_concurrency: 500,
    ...COMMON,
  },
  {
    name: 'full',
    max_dim: null,
    max_k: 100,
    requests_per_second: null,
    burst: null,
    max_concurrency: null,
    ...COMMON,
  },
];
