/** A model of random weights, published as the product does it: artifact on disk, vectors and indexes in place. */
import type { Database } from '@nestrec/database';
import { publishVersion } from '@nestrec/publishing';
import { loadArtifact, saveArtifact, type ManifestDraft } from '@nestrec/registry';
import { silentLogger } from '@nestrec/runtime';
import { upsertItems } from '@nestrec/storage';
import { join } from 'node:path';
import { catalogueItem, makeArtifact, type ArtifactShape } from './published-artifact.js';
import { tiersOf } from './tiers-of.js';

/** What saving fills in by itself. */
const FILLED_IN = ['formatVersion', 'itemIdsSha256', 'files'];

/** Writes the catalogue and saves the artifact under `folder`; returns where. */
export async function saveModel(
  db: Database,
  folder: string,
  shape: ArtifactShape,
): Promise<string> {
  const { items = 60, version } = shape;
  await upsertItems(
    db,
    Array.from({ length: items }, (_, i) => catalogueItem(i)),
  );
  const { manifest, ...content } = makeArtifact({ ...shape, items });
  const draft = Object.entries(manifest).filter(([name]) => !FILLED_IN.includes(name));
  await saveArtifact(folder, {
    manifest: Object.fromEntries(draft) as unknown as ManifestDraft,
    ...content,
  });
  return join(folder, version);
}

/**
 * Saves the artifact and publishes it with an index for each of `dims`. Random vectors are hard to index, so recall
 * decides nothing.
 */
export async function publishModel(
  db: Database,
  folder: string,
  shape: ArtifactShape,
  dims: readonly (number | null)[] = [null],
): Promise<void> {
  const path = await saveModel(db, folder, shape);
  const artifact = await loadArtifact(path);
  await publishVersion({
    ...{ db, artifact, path, tiers: tiersOf(...dims), recallQueries: 5, minRecall: 0 },
    logger: silentLogger(),
  });
}
