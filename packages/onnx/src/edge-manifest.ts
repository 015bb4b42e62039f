/** The manifest of an edge model: what its files hold and how to use them, for people and for programs. */
import type { Manifest } from '@nestrec/contracts';
import type { GraphPort } from './onnx-file.js';
import { OPSET, type StepGraph } from './step-graph.js';

export const EDGE_FORMAT_VERSION = 1;
export const STEP_FILE = 'step.onnx';
export const VECTORS_FILE = 'vectors.safetensors';
export const ITEMS_FILE = 'items.json';
export const MANIFEST_FILE = 'manifest.json';
export const ITEM_VECTORS = 'item_vectors';
export const INITIAL_QUERY = 'initial_query';

export interface EdgeFile {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly about: string;
}

export interface EdgeManifest {
  readonly format: 'nestrec-edge';
  readonly formatVersion: typeof EDGE_FORMAT_VERSION;
  /** Of the slice: the model's version, and its size. */
  readonly version: string;
  readonly createdAt: string;
  readonly nestrecVersion: string;
  /** m, the length of queries and item vectors. */
  readonly dim: number;
  /** K. */
  readonly blocks: number;
  /** N, the rows of the item table. */
  readonly items: number;
  /** How many newest events make a state; older ones do not show. */
  readonly replayEvents: number;
  /** How the parts go together. */
  readonly use: readonly string[];
  readonly step: {
    readonly file: typeof STEP_FILE;
    readonly opset: typeof OPSET;
    readonly type: 'float32';
    readonly inputs: readonly GraphPort[];
    readonly outputs: readonly GraphPort[];
  };
  readonly vectors: {
    readonly file: typeof VECTORS_FILE;
    readonly type: 'float32';
    readonly tensors: readonly GraphPort[];
  };
  readonly files: readonly EdgeFile[];
}

const USE = [
  'Begin with a state of zeros and the query initial_query.',
  'For each event, oldest first, run step.onnx with the state and the row of item_vectors of the event item; keep next_state and query. Items that items.json does not have are left out.',
  'The score of an item is the inner product of query and its row: what the API answers at this dim, there rounded to 5 decimals.',
  'Rank by score; leave out what should not be shown. Row r of item_vectors is the item at index r of items.json.',
  'States, queries and rows of different versions do not mix: with a new version fold the newest replayEvents events again.',
];

const ABOUT: Readonly<Record<string, string>> = {
  [STEP_FILE]: 'The model: one event of any number of users per run.',
  [VECTORS_FILE]: 'item_vectors and initial_query (safetensors).',
  [ITEMS_FILE]: 'Ids of the items, one for each row of item_vectors, as a JSON array.',
};

export function edgeManifest(
  slice: Pick<Manifest, 'version' | 'createdAt' | 'nestrecVersion' | 'config' | 'replayEvents'>,
  graph: StepGraph,
  files: readonly Omit<EdgeFile, 'about'>[],
): EdgeManifest {
  const { config, version, createdAt, nestrecVersion, replayEvents } = slice;
  const dim = config.sizes.at(-1)!;
  return {
    ...{ format: 'nestrec-edge', formatVersion: EDGE_FORMAT_VERSION },
    ...{ version, createdAt, nestrecVersion },
    ...{ dim, blocks: config.blocks, items: config.numItems, replayEvents, use: USE },
    step: {
      ...{ file: STEP_FILE, opset: OPSET, type: 'float32' },
      ...{ inputs: graph.inputs, outputs: graph.outputs },
    },
    vectors: {
      ...{ file: VECTORS_FILE, type: 'float32' },
      tensors: [
        { name: ITEM_VECTORS, shape: [config.numItems, dim], about: 'One row per item.' },
        { name: INITIAL_QUERY, shape: [dim], about: 'The query before the first event.' },
      ],
    },
    files: files.map((file) => ({ ...file, about: ABOUT[file.name]! })),
  };
}
