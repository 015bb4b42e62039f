/** What of an artifact steps states and makes queries: all but what grows with the number of items. */
import type { Manifest, NamedArrays } from '@nestrec/contracts';
import { ITEM_RESIDUAL } from '@nestrec/parameters';
import type { Artifact } from './artifact.js';

export interface ServingArtifact {
  readonly manifest: Manifest;
  /** Without the item residual R. */
  readonly parameters: NamedArrays;
}

/** In copies: R lies in the same buffer as the others, which would keep it in memory. */
export function servingPart({ manifest, parameters }: Artifact): ServingArtifact {
  const kept = [...parameters].filter(([name]) => name !== ITEM_RESIDUAL);
  return {
    manifest,
    parameters: new Map(
      kept.map(([name, { shape, data }]) => [name, { shape, data: data.slice() }]),
    ),
  };
}
