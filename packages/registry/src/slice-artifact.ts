/**
 * Cuts a model to one of its sizes, and to one of its early exits: a smaller artifact whose answers are the larger
 * one's prefixes.
 */
import { join } from 'node:path';
import { servedBlocks, type Manifest, type ModelConfig, type QualityRow } from '@nestrec/contracts';
import { InvalidArtifact } from '@nestrec/errors';
import { lambdaMax, replayEvents, sliceParameters } from '@nestrec/parameters';
import type { Artifact, ArtifactDraft } from './artifact.js';
import { saveArtifact } from './save-artifact.js';

export interface SlicedArtifact {
  readonly path: string;
  readonly manifest: Manifest;
}

const MAX_VERSION = 48;

/**
 * Saves `<targetDir>/<version>_d<dim>` (at an early exit `_d<dim>_b<blocks>`), a complete artifact of size `dim`.
 * Throws `InvalidArtifact` when the model was not trained to answer there or the version exists.
 */
export async function sliceArtifact(
  artifact: Artifact,
  dim: number,
  targetDir: string,
  blocks?: number,
): Promise<SlicedArtifact> {
  const saved = await saveArtifact(targetDir, cutArtifact(artifact, dim, blocks));
  return { path: join(targetDir, saved.version), manifest: saved };
}

/**
 * The slice of size `dim` with the first `blocks` blocks, in memory. Quality rows of what is not in it are dropped,
 * lambda max and replay length taken anew; item features, ids, encoder and what is said of cold items stay as they are.
 * @param blocks of an early exit that has the size; default: all.
 * Throws `InvalidArtifact` when the model was not trained to answer there.
 */
export function cutArtifact(
  artifact: Artifact,
  dim: number,
  blocks = artifact.manifest.config.blocks,
): ArtifactDraft {
  const { manifest } = artifact;
  if (!manifest.config.sizes.includes(dim)) {
    throw new InvalidArtifact({
      detail: `Got size ${dim}; the model has ${manifest.config.sizes.join(', ')}. Take one of these.`,
    });
  }
  if (servedBlocks(manifest.config, dim, blocks) !== blocks) {
    throw new InvalidArtifact({ detail: untrained(manifest.config, dim, blocks) });
  }
  const cut = sliceParameters(manifest.config, artifact.parameters, dim, blocks);
  const largest = lambdaMax(cut.config, cut.parameters);
  const early = blocks < manifest.config.blocks;
  const suffix = early ? `_d${dim}_b${blocks}` : `_d${dim}`;
  return {
    manifest: {
      createdAt: manifest.createdAt,
      nestrecVersion: manifest.nestrecVersion,
      commit: manifest.commit,
      seed: manifest.seed,
      features: manifest.features,
      data: manifest.data,
      version: manifest.version.slice(0, MAX_VERSION - suffix.length) + suffix,
      config: cut.config,
      quality: qualityOf(manifest, dim, early ? blocks : undefined),
      training: {
        ...manifest.training,
        slicedFrom: { version: manifest.version, dim, ...(early ? { blocks } : {}) },
      },
      lambdaMax: largest,
      replayEvents: replayEvents(cut.config, largest),
      ...(manifest.coldItems === undefined ? {} : { coldItems: manifest.coldItems }),
    },
    parameters: cut.parameters,
    features: artifact.features,
    learned: artifact.learned,
    likeness: artifact.likeness,
    itemIds: artifact.itemIds,
    encoder: artifact.encoder,
  };
}

function untrained({ exits = [], blocks: all }: ModelConfig, dim: number, blocks: number): string {
  const there = exits.map((exit) => `${exit.blocks} (sizes up to ${exit.dim})`);
  return (
    `Got ${blocks} blocks at size ${dim}; the model was trained to answer after ` +
    `${[...there, `all ${all}`].join(', ')}. Take one of these.`
  );
}

/** What was measured of the slice: at an exit, the exit's rows are those of its full depth. */
function qualityOf({ quality }: Manifest, dim: number, exit: number | undefined): QualityRow[] {
  return quality.flatMap((row) => {
    if (row.dim === null) return [row];
    if (row.dim > dim) return [];
    const { blocks, ...rest } = row;
    if (exit === undefined || (blocks !== undefined && blocks < exit)) return [row];
    return blocks === exit ? [{ ...rest, scorer: `model@${row.dim}` }] : [];
  });
}
