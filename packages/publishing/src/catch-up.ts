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
  type ItemAsOf,
} from './catalogue-changes.js';
import { createItemEmbedder } from './item-embedder.js';
import { sameFiles } from './shared-vectors.js';
import { carryRemovals, findVectorTable, takeOutDeleted } from './vector-table.js';

export interface CatchUpOptions {
  readonly logger: Logger;
  /** Reads an artifact from its folder. Default: the registry's. */
  readonly loadArtifact?: (path: string) => Promise<Artifact>;
}

/** Beyond it the artifact is read again at each rollback: that many a catalogue and a model do not disagree on. */
const MAX_HOPELESS = 10_000;
const MAX_TABLES = 16;

/**
 * What no vector can be made of, by table: without it the artifact would be read at each rollback for as long as
 * there is one such item. Kept for as long as the process lives.
 */
const hopelessByDatabase = new WeakMap<Database, Map<string, Map<string, ItemAsOf>>>();

/** Of one table; one made anew under the name of another is another. */
async function hopelessItems(db: Database, vectorsVersion: string): Promise<Map<string, ItemAsOf>> {
  const byTable = hopelessByDatabase.get(db) ?? new Map<string, Map<string, ItemAsOf>>();
  hopelessByDatabase.set(db, byTable);
  const table = await findVectorTable(db, vectorsVersion);
  const key = `${vectorsVersion} ${table?.identity ?? ''}`;
  const items = byTable.get(key) ?? new Map<string, ItemAsOf>();
  byTable.delete(key);
  byTable.set(key, items);
  if (byTable.size > MAX_TABLES) byTable.delete(byTable.keys().next().value!);
  return items;
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
    const hopeless = await hopelessItems(db, vectorsVersion);
    if (!(await isBehindCatalogue(db, vectorsVersion, [...hopeless.values()]))) {
      return { embedded: 0, skipped: hopeless.size };
    }
    const artifact = await load(path);
    if (!sameFiles(artifact.manifest, manifest)) {
      throw new InvalidArtifact({
        detail: `the artifact in ${path} is not the one that ${version} was published from`,
      });
    }
    hopeless.clear();
    const embedder = await createItemEmbedder(artifact);
    const changes = await embedCatalogueChanges(db, vectorsVersion, embedder, logger, {
      onSkipped: (item) => {
        if (hopeless.size < MAX_HOPELESS) hopeless.set(item.itemId, item);
      },
    });
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
