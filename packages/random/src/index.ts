/** Seeded random numbers whose state can be saved and restored. */
export { createRandom, restoreRandom, type Random, type RandomState } from './random.js';
