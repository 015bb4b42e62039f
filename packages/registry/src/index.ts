/** Model artifacts: safetensors weights and a JSON manifest, written atomically, verified on load. */
export {
  ENCODER_FILE,
  FEATURES_TENSOR,
  ITEMS_FILE,
  MANIFEST_FILE,
  WEIGHTS_FILE,
  type Artifact,
  type ArtifactContent,
  type ArtifactDraft,
  type ManifestDraft,
} from './artifact.js';
export { coldFillOf } from './cold-fill.js';
export { hashItemIds, sha256 } from './artifact-files.js';
export { hashItemSide } from './item-side.js';
export { listArtifacts, type ArtifactListing } from './list-artifacts.js';
export { loadArtifactAside, loadServingArtifact } from './load-aside.js';
export type { ServingArtifact } from './serving-part.js';
export { loadArtifact, verifyArtifact, type VerifyReport } from './read-artifact.js';
export { writeNewFolder, type FolderFiles } from './new-folder.js';
export { saveArtifact } from './save-artifact.js';
export { cutArtifact, sliceArtifact, type SlicedArtifact } from './slice-artifact.js';
