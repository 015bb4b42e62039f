/** The version that a run goes on with: its artifact, and whether the run's configuration fits it. */
import { join } from 'node:path';
import type { ModelConfig, NamedArrays } from '@nestrec/contracts';
import type { Queryable } from '@nestrec/database';
import { InvalidConfig, NoPublishedModel } from '@nestrec/errors';
import { coldFillOf, loadArtifact, type Artifact } from '@nestrec/registry';
import { getPublished, getVersion } from '@nestrec/storage';
import { transferParameters } from '@nestrec/training';
import type { TrainingData } from './training-data.js';

export interface StartingPointRequest {
  readonly db: Queryable;
  readonly modelsDir: string;
  /** Default: the published version. */
  readonly startFrom?: string | null | undefined;
}

/** @throws NoPublishedModel, InputNotFound, InvalidArtifact */
export async function loadStartingPoint({
  db,
  modelsDir,
  startFrom,
}: StartingPointRequest): Promise<Artifact> {
  const version = startFrom ?? (await getPublished(db))?.version;
  if (version === undefined) {
    throw new NoPublishedModel({
      detail:
        'there is no published version to begin with; train in full and publish, or name a version',
    });
  }
  const known = await getVersion(db, version);
  return loadArtifact(known?.path ?? join(modelsDir, version));
}

/** Which of these items, by row, `base` has learned. */
export function learnedBy(base: Artifact, itemIds: readonly string[]): (row: number) => boolean {
  const rowOf = new Map(base.itemIds.map((id, row) => [id, row]));
  return (row) => {
    const known = rowOf.get(itemIds[row]!);
    return known !== undefined && base.learned?.[known] !== 0;
  };
}

/** The parameters that a run with the items and features of `data` goes on with; items begin as `base` serves them. */
export async function parametersToGoOnWith(
  base: Artifact,
  data: Pick<TrainingData, 'dataset' | 'features' | 'featureWidth'>,
): Promise<NamedArrays> {
  const { features, featureWidth: width } = data;
  const { itemIds } = data.dataset;
  const known = new Set(base.itemIds);
  const fill = itemIds.every((id) => known.has(id)) ? null : await coldFillOf(base);
  return transferParameters(base.parameters, base.itemIds, itemIds, (row) =>
    fill === null ? null : fill.residualOf(features.subarray(row * width, (row + 1) * width)),
  );
}

/** What decides the shapes and the meaning of parameters; items and features are matched by themselves. */
const FIXED = ['sizes', 'blocks', 'useBias', 'itemResidual', 'scoreScale'] as const;

/** @throws InvalidConfig where parameters of `base` do not fit `config`, with the cure */
export function assertSameShape(
  config: Pick<ModelConfig, (typeof FIXED)[number]>,
  { manifest }: Artifact,
): void {
  const faults = FIXED.filter(
    (name) => JSON.stringify(config[name]) !== JSON.stringify(manifest.config[name]),
  ).map(
    (name) =>
      `${name}: got ${JSON.stringify(config[name])}, ${manifest.version} has ${JSON.stringify(manifest.config[name])}`,
  );
  if (faults.length === 0) return;
  throw new InvalidConfig({
    detail: `${faults.join('; ')}: parameters cannot be taken over; give what ${manifest.version} has, or train in full`,
  });
}
