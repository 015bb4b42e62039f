/**
 * One seed for every property test, so that a run can be repeated: `TEST_SEED=7 npm test` explores others.
 * A failure prints seed and path as fast-check does.
 */
import fc from 'fast-check';

const DEFAULT_SEED = 20_261_123;

fc.configureGlobal({ seed: Number(process.env['TEST_SEED'] ?? DEFAULT_SEED) });
