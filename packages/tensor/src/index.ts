/** Chooses the TensorFlow.js backend and holds the fused operations with their gradients. */
export {};
