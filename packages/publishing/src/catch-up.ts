/**
 * Brings the version that a rollback went back to up to the catalogue. Items are written into every live version,
 * but a write that an older one could not take (its lock was not free in time) is missing there for good.
 */
import type { Database } from '@nestrec/database';
import { InvalidArtifact } from '@nestrec/errors';
import { loadArtifact, type Artifact } from '@nestrec/registry';
import type { Logger } from '@nestrec/runtime';
import { vectorsVersionOf, type ModelVersion } from '@nestrec/storage';
import {
  embedCatalogueChanges,
  isBehindCatalogue,
  type CatalogueChanges,
} from './catalogue-changes.js';
import { createItemEmbedder } from './item-embedder.js';
import { sameFiles } from './shared-vectors.js';
import { carryRemovals, takeOutDeleted } from './vector-table.js';

export interface CatchUpOptions {
  readonly logger: Logger;
  /** Reads an artifact from its folder. Default: the registry's. */
  readonly loadArtifact?: (path: string) => Promise<Artifact>;
}

/**
 * Embeds what is missing or stale; the artifact is read only where something is.
 * @param from the version that was served before
 * @returns null where that failed, which is logged: what the version has serves all the same
 */
export async function catchUp(
  db: Database,
  { version, path, manifest, vectorsVersion }: ModelVersion,
  from: string,
  { logger, loadArtifact: load = loadArtifact }: CatchUpOptions,
): Promise<CatalogueChanges | null> {
  try {
    // Whatever becomes of the artifact; and what is deleted while items are embedded, again after that.
    await takeOutDeleted(db, vectorsVersion);
    const left = await vectorsVersionOf(db, from);
    if (left !== vectorsVersion) await carryRemovals(db, left, vectorsVersion);
    if (!(await isBehindCatalogue(db, vectorsVersion))) return { embedded: 0, skipped: 0 };
    const artifact = await load(path);
    if (!sameFiles(artifact.manifest, manifest)) {
      throw new InvalidArtifact({
        detail: `the artifact in ${path} is not the one that ${version} was published from`,
      });
    }
    const changes = await embedCatalogueChanges(
      db,
      vectorsVersion,
      createItemEmbedder(artifact),
      logger,
    );
    await takeOutDeleted(db, vectorsVersion);
    logger.info({ version, ...changes }, 'embedded what the version lacked');
    return changes;
  } catch (error) {
    logger.warn(
      { err: error, version },
      'serves without the items that it lacks; publish it again (nestrec publish) to embed them',
    );
    return null;
  }
}
