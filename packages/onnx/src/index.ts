/** Slices of a model as ONNX: a step to run anywhere, and the item table that it scores. */
export { saveEdgeModel, type SavedEdgeModel } from './edge-model.js';
export { type EdgeFile, type EdgeManifest } from './edge-manifest.js';
