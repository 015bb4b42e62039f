/**
 * Publishes a model version: vectors of all items, indexes, checks, then the pointer, in that order.
 *
 * Until the pointer moves, nothing that is served is touched; it moves in one statement. So a publish that
 * is killed or fails anywhere leaves the served version as it was, and running it again finishes the work.
 * Loading and checking the artifact itself is the registry's part.
 */
import type { PublishReport } from '@nestrec/contracts';
import { sqlState, type Database, type Hold, type Queryable } from '@nestrec/database';
import { isError, PublishConflict, PublishRefused } from '@nestrec/errors';
import { loadArtifact, type Artifact } from '@nestrec/registry';
import type { Logger } from '@nestrec/runtime';
import {
  announceServed,
  getPublished,
  getVersion,
  newestPublishReport,
  registerVersion,
  setRetrievalFacts,
  vectorsVersionOf,
  type ModelVersion,
} from '@nestrec/storage';
import { embedCatalogueChanges } from './catalogue-changes.js';
import { cleanUpVectorTables, dropLeftover, dropUnserved } from './clean-up.js';
import type { CheckedIndexes, DimReport } from './checked-indexes.js';
import { passGate, type MeasureQuality } from './gate.js';
import { DEFAULT_MIN_RECALL, indexVersion } from './index-version.js';
import { createItemEmbedder, embeddingBatch, type ItemEmbedder } from './item-embedder.js';
import { movePointer } from './pointer.js';
import type { ShortlistIndex } from './plan-options.js';
import type { TierNeed } from './prefix-indexes.js';
import { assertClaimed, claimPublishing } from './publishing-claim.js';
import {
  openSharedTable,
  sameFiles,
  sharedVectorsVersion,
  type SharedTable,
} from './shared-vectors.js';
import { dropUnusedIndexes } from './unused-indexes.js';
import {
  carryRemovals,
  createVectorTable,
  findVectorTable,
  insertTrainedVectors,
  markWhole,
  readTableFacts,
  takeOutDeleted,
  type TableFacts,
} from './vector-table.js';

export interface PublishOptions {
  readonly db: Database;
  /** Loaded and verified by the registry. */
  readonly artifact: Artifact;
  /** Where the artifact lies, for those who load it later. */
  readonly path: string;
  /** What is to be served: sizes get the indexes that the tiers' plans need, and each is judged. */
  readonly tiers: readonly TierNeed[];
  /** What shortlists are made by, where not by the default (decision 0024). */
  readonly shortlistIndex?: ShortlistIndex;
  readonly logger: Logger;
  /**
   * Least recall@20 of an index against the exact scan; 0 accepts any. Default 0.95. Plans that the published
   * version is served by are measured only.
   */
  readonly minRecall?: number;
  /** Queries that recall is measured with. Default 200. */
  readonly recallQueries?: number;
  /** Publish although the version is older than the published one, or the quality gate refuses it. */
  readonly force?: boolean;
  /** Versions besides the published one whose vectors stay, at least the one before. Default 2. */
  readonly keepPrevious?: number;
  /** Who asks for force, for the record. */
  readonly forcedBy?: string;
  /** Share of the published NDCG@10 that the version may lack. Default 0.05. */
  readonly margin?: number;
  /** Asks the version's held-out cases again where it was compared with another one than is published. */
  readonly measure?: MeasureQuality;
  readonly onProgress?: (progress: PublishProgress) => void;
  /** How long to wait for another who publishes. Default 5 s. */
  readonly waitMs?: number;
  /** Called in the transaction that moves the pointer; what it throws keeps the pointer where it is. */
  readonly guard?: (tx: Queryable) => Promise<void>;
  /** Reads the artifact of the version whose vectors may be shared. Default: the registry's. */
  readonly loadArtifact?: (path: string) => Promise<Artifact>;
}

export interface PublishProgress {
  readonly phase: 'embed' | 'index' | 'swap';
  readonly done: number;
  readonly total: number;
}

export interface PublishResult {
  readonly version: string;
  readonly outcome: 'published' | 'already_published';
  readonly previousVersion: string | null;
  /** The version whose vectors and indexes it uses: itself, or the one that it was trained from (query-only). */
  readonly vectorsVersion: string;
  /** Rows of the table. */
  readonly items: number;
  /** Of these, items that came with the catalogue and not with the training data. */
  readonly newItems: number;
  readonly dims: readonly DimReport[];
  /** What the gate found; null for a version that was published already, before reports were kept. */
  readonly report: PublishReport | null;
  /** Versions whose vectors were dropped. */
  readonly dropped: readonly string[];
  /** What the operator has to know although the version serves; they are in the log as well. */
  readonly warnings: readonly string[];
}

/**
 * @throws PublishRefused, with the reason; PublishConflict where another was at work, and trying again helps. The
 *   served version is untouched then
 */
export async function publishVersion(options: PublishOptions): Promise<PublishResult> {
  const { version } = options.artifact.manifest;
  const claim = await claimPublishing(options.db, `publishes ${version}`, options.waitMs);
  try {
    return await publishClaimed(options, claim);
  } finally {
    await claim.release();
  }
}

async function publishClaimed(options: PublishOptions, claim: Hold): Promise<PublishResult> {
  const { db, artifact, logger } = options;
  const { manifest } = artifact;
  const { version } = manifest;
  const pointer = await getPublished(db);
  const before = pointer?.version ?? null;
  const known = await getVersion(db, version);
  assertSameArtifact(artifact, known, before);
  const minRecall = options.minRecall ?? DEFAULT_MIN_RECALL;
  const pass = before === version ? null : await passGate({ ...options, minRecall }, before);
  // What killed publishes left goes first: their space may be needed.
  const shared = await sharedVectorsVersion(options, artifact, known);
  const alsoKeep = [version, shared ?? version];
  const leftOver = await tidyUp(options, claim, alsoKeep);
  await registerVersion(db, { version, manifest, path: options.path });
  const embedder = await createItemEmbedder(artifact);
  const table = await openTable(options, claim, known);
  try {
    const {
      reports: dims,
      warnings,
      counted,
    } = await fillAndIndex(options, claim, embedder, table, before);
    options.onProgress?.({ phase: 'swap', done: 0, total: 1 });
    let written: PublishReport | null = null;
    const moved =
      pass === null
        ? pointer
        : await movePointer(db, version, before, table.identity, async (tx) => {
            assertClaimed(claim);
            await options.guard?.(tx);
            written = await pass.published(tx, dims);
          });
    // It serves: what fails from here on fails no publish.
    const late = await embedLate(options, embedder, table, before);
    const facts = await readTableFacts(db, table.vectorsVersion).catch(() => counted);
    const isClaimed = () => !claim.lost;
    const { vectorsVersion } = table;
    const served = before === version;
    const unused = { version: vectorsVersion, rows: facts.rows, served, isClaimed };
    await dropUnusedIndexes(db, logger, unused);
    options.onProgress?.({ phase: 'swap', done: 1, total: 1 });
    return {
      version,
      outcome: before === version ? 'already_published' : 'published',
      previousVersion: moved?.previousVersion ?? null,
      vectorsVersion: table.vectorsVersion,
      items: facts.rows,
      newItems: facts.rows - facts.trained,
      dims,
      report: written ?? (await newestPublishReport(db, version, 'published')),
      dropped: [...leftOver, ...(await tidyUp(options, claim))],
      warnings: [...warnings, ...late],
    };
  } catch (error) {
    if (isError(error, PublishRefused)) await pass?.refused(error.detail);
    if (!table.whole && !claim.lost) await abandon(options, table.identity);
    throw sqlState(error) === UNDEFINED_TABLE ? droppedMeanwhile(version, error) : error;
  }
}

const UNDEFINED_TABLE = '42P01';

function droppedMeanwhile(version: string, cause: unknown): Error {
  return new PublishConflict({
    detail: `the vectors of ${version} were dropped by another publisher meanwhile; publish again`,
    cause,
  });
}

/** A table that is in use for longer than the lock waits goes next time. */
async function tidyUp(
  { db, logger, keepPrevious }: PublishOptions,
  claim: Hold,
  alsoKeep: readonly string[] = [],
): Promise<string[]> {
  const isClaimed = () => !claim.lost;
  try {
    return await cleanUpVectorTables(db, logger, { alsoKeep, keepPrevious, isClaimed });
  } catch (error) {
    logger.warn(
      { err: error },
      'older item vectors could not be dropped; the next publish tries again',
    );
    return [];
  }
}

/** Gives the space of a failed publish back, unless the table is another publisher's or is served. */
async function abandon({ db, artifact, logger }: PublishOptions, identity: number): Promise<void> {
  const { version } = artifact.manifest;
  try {
    if ((await findVectorTable(db, version))?.identity === identity) {
      await dropUnserved(db, version);
    }
  } catch (error) {
    logger.warn({ err: error, version }, 'unfinished item vectors stay until the next publish');
  }
}

/** Two artifacts of one version would make answers that nobody can tell apart. */
function assertSameArtifact(
  artifact: Artifact,
  known: ModelVersion | null,
  published: string | null,
): void {
  const { version } = artifact.manifest;
  if (known === null || known.status === 'candidate') return;
  if (sameFiles(artifact.manifest, known.manifest)) return;
  throw new PublishRefused({
    detail:
      `version ${version} was ${published === version ? 'published' : 'served before'} with other files ` +
      'than this artifact has; give the new model a version of its own',
  });
}

/**
 * The version's table: one that it shares, or the one that stands, where it was finished from the same files
 * (it was served before, or the publish died just before the swap), otherwise a new one.
 */
async function openTable(
  options: PublishOptions,
  claim: Hold,
  known: ModelVersion | null,
): Promise<SharedTable> {
  const { db, artifact, logger } = options;
  const { config, version } = artifact.manifest;
  const sharing = { db, logger, loadArtifact: options.loadArtifact ?? loadArtifact };
  const shared = await openSharedTable(sharing, artifact, known);
  if (shared !== null) return shared;
  const standing = await findVectorTable(db, version);
  if (standing !== null) {
    if (standing.whole && known !== null && sameFiles(artifact.manifest, known.manifest)) {
      return { ...standing, vectorsVersion: version };
    }
    assertClaimed(claim);
    await dropLeftover(db, version);
  }
  // One transaction: until it ends nobody else can drop the table.
  const identity = await db.transaction((tx) => createVectorTable(tx, version, config.sizes));
  return { identity, whole: false, vectorsVersion: version };
}

async function fillAndIndex(
  options: PublishOptions,
  claim: Hold,
  embedder: ItemEmbedder,
  table: SharedTable,
  before: string | null,
): Promise<CheckedIndexes & { readonly counted: TableFacts }> {
  const { db } = options;
  if (!table.whole) await insertTrained(options, embedder);
  await catchUp(options, embedder, table, before);
  const counted = await assertComplete(options, embedder, table);
  const { version } = options.artifact.manifest;
  const onIndex = (done: number, total: number) => {
    // Each index may take minutes; without the claim another may have begun to build the same.
    assertClaimed(claim);
    options.onProgress?.({ phase: 'index', done, total });
  };
  const checked = await indexVersion({ ...options, onIndex }, table, before === version);
  // What was written while the indexes were built.
  await catchUp(options, embedder, table, before);
  assertClaimed(claim);
  await setRetrievalFacts(db, version, checked.facts);
  // Those who serve it already take the new indexes and plans.
  if (before === version) await announceServed(db);
  // A table that is served already keeps its mark, and the states made from it.
  if (!table.whole) await markWhole(db, table.vectorsVersion);
  return { ...checked, counted };
}

/** What was written between the last look at the catalogue and the swap; returns what the operator has to know. */
async function embedLate(
  options: PublishOptions,
  embedder: ItemEmbedder,
  table: SharedTable,
  before: string | null,
): Promise<string[]> {
  const { version } = options.artifact.manifest;
  try {
    await catchUp(options, embedder, table, before);
    return [];
  } catch (error) {
    const warning =
      `${version} serves, but items written just before the swap could not be embedded in it; they follow when ` +
      'they are written again, or when it is published again';
    options.logger.warn({ err: error, version }, warning);
    return [warning];
  }
}

/** Makes the table agree with the catalogue: items new, changed and removed. */
async function catchUp(
  { db, logger }: PublishOptions,
  embedder: ItemEmbedder,
  { vectorsVersion }: SharedTable,
  before: string | null,
): Promise<void> {
  await embedCatalogueChanges(db, vectorsVersion, embedder, logger);
  await takeOutDeleted(db, vectorsVersion);
  const served = before === null ? vectorsVersion : await vectorsVersionOf(db, before);
  if (served !== vectorsVersion) await carryRemovals(db, served, vectorsVersion);
}

async function insertTrained(options: PublishOptions, embedder: ItemEmbedder): Promise<void> {
  const { db, artifact } = options;
  const { config, version, createdAt, data } = artifact.manifest;
  const total = embedder.trainedItems;
  const batch = embeddingBatch(config.featureWidth, config.sizes.at(-1)!);
  // What a search meets together lies together then, in the table and in every index.
  const order = await embedder.orderTrained();
  for (let from = 0; from < total; from += batch) {
    const rows = embedder.embedTrained(order.subarray(from, from + batch));
    // Their features are as old as the training data: what the catalogue changed since is embedded after this.
    await insertTrainedVectors(db, version, rows, data.catalogueAsOf ?? createdAt);
    options.onProgress?.({ phase: 'embed', done: from + rows.length, total });
  }
}

async function assertComplete(
  { db, artifact }: PublishOptions,
  embedder: ItemEmbedder,
  { vectorsVersion }: SharedTable,
): Promise<TableFacts> {
  const { config, version } = artifact.manifest;
  const facts = await readTableFacts(db, vectorsVersion);
  if (facts.trained === embedder.trainedItems && facts.dim === config.sizes.at(-1)) return facts;
  throw new PublishConflict({
    detail:
      `the vectors of ${version} are ${facts.trained} of ${facts.dim} coordinates, wanted ` +
      `${embedder.trainedItems} of ${config.sizes.at(-1)}; another publisher may be at work, publish again`,
  });
}
