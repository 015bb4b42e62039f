/**
 * A slice of a model for phones and edge workers: a folder with the step as ONNX, the item table, and a
 * manifest. No database, no service and nothing of nestrec is needed to use it.
 */
import { join } from 'node:path';
import { OutputNotWritable, type NestrecError } from '@nestrec/errors';
import { itemVectors } from '@nestrec/parameters';
import {
  cutArtifact,
  sha256,
  writeNewFolder,
  type Artifact,
  type ArtifactDraft,
} from '@nestrec/registry';
import { createCell } from '@nestrec/streaming';
import { safetensorsParts } from '@nestrec/tensor-files';
import {
  edgeManifest,
  INITIAL_QUERY,
  ITEM_VECTORS,
  ITEMS_FILE,
  MANIFEST_FILE,
  STEP_FILE,
  VECTORS_FILE,
  type EdgeManifest,
} from './edge-manifest.js';
import { encodeOnnx } from './onnx-file.js';
import { buildStepGraph, type StepGraph } from './step-graph.js';

export interface SavedEdgeModel {
  readonly path: string;
  readonly manifest: EdgeManifest;
}

/**
 * Saves `<targetDir>/<version>_d<dim>_onnx` (at an early exit `_d<dim>_b<blocks>_onnx`). The item vectors are those that publishing gives the model's own
 * items; what came to the catalogue later, or was described anew, is not in the artifact and not in here.
 *
 * Throws `InvalidArtifact` when the model was not trained to answer there, `InvalidParameter` for a slice beyond
 * what ONNX holds, `OutputNotWritable` when the folder exists or cannot be written; either way nothing is
 * left behind.
 */
export async function saveEdgeModel(
  artifact: Artifact,
  dim: number,
  targetDir: string,
  blocks?: number,
): Promise<SavedEdgeModel> {
  const slice = cutArtifact(artifact, dim, blocks);
  const { config, version } = slice.manifest;
  const cell = createCell(config, slice.parameters);
  const graph = buildStepGraph(cell);
  const files = new Map<string, readonly Uint8Array[]>([
    [STEP_FILE, [encodeStep(slice, graph)]],
    [VECTORS_FILE, encodeVectors(slice, cell.query(cell.emptyState()))],
    [ITEMS_FILE, [encodeJson(slice.itemIds)]],
  ]);
  const manifest = edgeManifest(
    slice.manifest,
    graph,
    Array.from(files, ([name, parts]) => ({
      ...{ name, bytes: parts.reduce((sum, part) => sum + part.length, 0) },
      sha256: sha256(...parts),
    })),
  );
  files.set(MANIFEST_FILE, [encodeJson(manifest, 2)]);
  const path = join(targetDir, `${version}_onnx`);
  await writeNewFolder(path, files, (cause) => taken(path, cause));
  return { path, manifest };
}

function encodeStep({ manifest }: ArtifactDraft, graph: StepGraph): Uint8Array {
  const { version, config, nestrecVersion } = manifest;
  return encodeOnnx({
    ...graph,
    name: 'step',
    about: 'One event of a nestrec model: state and item vector to the next state and the query.',
    producerVersion: nestrecVersion,
    metadata: { version, dim: String(config.sizes.at(-1)), blocks: String(config.blocks) },
  });
}

function encodeVectors({ manifest, ...slice }: ArtifactDraft, initialQuery: Float32Array) {
  const { config } = manifest;
  const dim = config.sizes.at(-1)!;
  const vectors = itemVectors(config, slice.parameters, slice.features);
  const tensors = new Map([
    [ITEM_VECTORS, { shape: [config.numItems, dim], data: vectors }],
    [INITIAL_QUERY, { shape: [dim], data: initialQuery }],
  ]);
  return [...safetensorsParts(tensors)];
}

function encodeJson(value: unknown, indent?: number): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value, null, indent)}\n`);
}

function taken(path: string, cause: unknown): NestrecError {
  return new OutputNotWritable({
    detail: `There is something at ${path} already; nothing is overwritten. Remove it, or give another --out.`,
    cause,
  });
}
