/** Tiers with the limits of dimensions given (null: none), served by what the planner chooses. */
import type { TierNeed } from '@nestrec/publishing';

export const tiersOf = (...limits: readonly (number | null)[]): TierNeed[] =>
  limits.map((max_dim) => ({ max_dim, plan: 'auto' }));
