/** The hot path of a training step in C: optional, loaded where it has been compiled. */
export { findNativeOperations, loadNativeOperations, NATIVE_CURE } from './load.js';
export type { NativeOperations } from './operations.js';
