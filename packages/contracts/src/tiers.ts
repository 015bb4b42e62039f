/** Tiers: what a client's key entitles it to. */
import { z } from 'zod';

export const tierSchema = z.strictObject({
  name: z
    .string()
    .min(1)
    .max(64)
    .regex(/^[a-z][a-z0-9-]*$/),
  /** Greatest dimension; null means all of the published model's. */
  max_dim: z.number().int().min(1).nullable(),
  max_k: z.number().int().min(1),
});
export type Tier = z.infer<typeof tierSchema>;

/** Scopes of an API key. */
export const scopeSchema = z.enum([
  'recommend',
  'events:write',
  'users:erase',
  'catalogue:write',
  'admin',
]);
export type Scope = z.infer<typeof scopeSchema>;

export const DEFAULT_TIERS: readonly Tier[] = [
  { name: 'basic', max_dim: 16, max_k: 20 },
  { name: 'standard', max_dim: 64, max_k: 50 },
  { name: 'full', max_dim: null, max_k: 100 },
];
