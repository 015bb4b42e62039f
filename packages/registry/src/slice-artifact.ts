/** Cuts a model to one of its sizes: a smaller artifact whose answers are the larger one's prefixes. */
import { join } from 'node:path';
import type { Manifest } from '@nestrec/contracts';
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
 * Saves `<targetDir>/<version>_d<dim>`, a complete artifact of size `dim`.
 * Throws `InvalidArtifact` when `dim` is not one of the model's sizes or the version exists.
 */
export async function sliceArtifact(
  artifact: Artifact,
  dim: number,
  targetDir: string,
): Promise<SlicedArtifact> {
  const saved = await saveArtifact(targetDir, cutArtifact(artifact, dim));
  return { path: join(targetDir, saved.version), manifest: saved };
}

/**
 * The slice of size `dim`, in memory. Quality rows of larger sizes are dropped, lambda max and replay length
 * taken anew; item features, ids, encoder and what is said of cold items stay as they are.
 * Throws `InvalidArtifact` when `dim` is not one of the model's sizes.
 */
export function cutArtifact(artifact: Artifact, dim: number): ArtifactDraft {
  const { manifest } = artifact;
  if (!manifest.config.sizes.includes(dim)) {
    throw new InvalidArtifact({
      detail: `Got size ${dim}; the model has ${manifest.config.sizes.join(', ')}. Take one of these.`,
    });
  }
  const cut = sliceParameters(manifest.config, artifact.parameters, dim);
  const largest = lambdaMax(cut.config, cut.parameters);
  const suffix = `_d${dim}`;
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
      quality: manifest.quality.filter((row) => row.dim === null || row.dim <= dim),
      training: { ...manifest.training, slicedFrom: { version: manifest.version, dim } },
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
