/**
 * What a model artifact is in memory, and what its folder holds.
 *
 * `<models>/<version>/manifest.json`, `weights.safetensors` (parameters under the golden names, and
 * `item_features`), `items.json` (item ids, row by row), `encoder.safetensors` (only with a text modality).
 */
import type { Manifest, NamedArrays } from '@nestrec/contracts';
import type { Likeness, TextEncoder } from '@nestrec/features';

export const MANIFEST_FILE = 'manifest.json';
export const WEIGHTS_FILE = 'weights.safetensors';
export const ITEMS_FILE = 'items.json';
export const ENCODER_FILE = 'encoder.safetensors';
/** Tensor of `weights.safetensors` that is no parameter: the N x F item features, frozen in training. */
export const FEATURES_TENSOR = 'item_features';
/** Another: N numbers, 1 where R_i was learned, 0 where it was filled from other items'. Absent: all 1. */
export const LEARNED_TENSOR = 'item_learned';
/** Two more, where the manifest says how cold items are filled: by what they are compared, F x F and N x modalities. */
export const LIKENESS_METRIC_TENSOR = 'likeness_metric';
export const LIKENESS_SCALES_TENSOR = 'likeness_scales';

export interface ArtifactContent {
  /** Keys and shapes as `parameterShapes(config)`. */
  readonly parameters: NamedArrays;
  /** N x F, row-major; empty when F = 0. */
  readonly features: Float32Array;
  /** N numbers, 1 for items whose residual was learned and 0 for others, which were filled; absent: all learned. */
  readonly learned?: Float32Array | undefined;
  /** Present exactly where the manifest has `coldItems`. */
  readonly likeness?: Likeness | undefined;
  /** Item of internal id i is `itemIds[i - 1]`. */
  readonly itemIds: readonly string[];
  /** Present exactly when the feature spec has a text modality. */
  readonly encoder: TextEncoder | null;
}

export interface Artifact extends ArtifactContent {
  readonly manifest: Manifest;
}

/** What the trainer knows; the registry adds format version, hashes and sizes. */
export type ManifestDraft = Omit<Manifest, 'formatVersion' | 'itemIdsSha256' | 'files'>;

export interface ArtifactDraft extends ArtifactContent {
  readonly manifest: ManifestDraft;
}
