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
  itemVectorsTable,
  newestPublishReport,
  refreshPopularity,
  registerVersion,
  setRetrievalFacts,
  vectorsVersionOf,
  type ModelVersion,
} from '@nestrec/storage';
import { embedCatalogueChanges } from './catalogue-changes.js';
import { cleanUpVectorTables, dropLeftover, dropUnserved } from './clean-up.js';
import { buildCheckedIndexes, type DimReport, type RecallGate } from './checked-indexes.js';
import { passGate, type MeasureQuality } from './gate.js';
import { createItemEmbedder, embeddingBatch, type ItemEmbedder } from './item-embedder.js';
import { movePointer } from './pointer.js';
import type { ShortlistIndex } from './plan-options.js';
import { servedSizes, type TierNeed } from './prefix-indexes.js';
import { assertClaimed, claimPublishing } from './publishing-claim.js';
import { sampleQueries } from './sample-queries.js';
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
  hasNorms,
  insertVectors,
  markWhole,
  readTableFacts,
  takeOutDeleted,
} from './vector-table.js';

const DEFAULT_MIN_RECALL = 0.95;
const DEFAULT_RECALL_QUERIES = 100;

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
  /** Least recall@20 of an index against the exact scan; 0 accepts any. Default 0.95. */
  readonly minRecall?: number;
  /** Queries that recall is measured with. Default 100. */
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
  const leftOver = await tidyUp(options, alsoKeep);
  await registerVersion(db, { version, manifest, path: options.path });
  const embedder = createItemEmbedder(artifact);
  const table = await openTable(options, known);
  try {
    const dims = await fillAndIndex(options, embedder, table, before);
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
    // What was written between the last look at the catalogue and the swap.
    await catchUp(options, embedder, table, before);
    const facts = await readTableFacts(db, table.vectorsVersion);
    // Without the claim another may be building what looks unused.
    if (!claim.lost) {
      const served = before === version;
      const { vectorsVersion } = table;
      await dropUnusedIndexes(db, logger, { version: vectorsVersion, rows: facts.rows, served });
    }
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
      dropped: [...leftOver, ...(await tidyUp(options))],
    };
  } catch (error) {
    if (isError(error, PublishRefused)) await pass?.refused(error.detail);
    if (!table.whole) await abandon(options, table.identity);
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
  alsoKeep: readonly string[] = [],
): Promise<string[]> {
  try {
    return await cleanUpVectorTables(db, logger, alsoKeep, keepPrevious);
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
    await dropLeftover(db, version);
  }
  // One transaction: until it ends nobody else can drop the table.
  const identity = await db.transaction((tx) => createVectorTable(tx, version, config.sizes));
  return { identity, whole: false, vectorsVersion: version };
}

async function fillAndIndex(
  options: PublishOptions,
  embedder: ItemEmbedder,
  table: SharedTable,
  before: string | null,
): Promise<DimReport[]> {
  const { db } = options;
  if (!table.whole) await insertTrained(options, embedder);
  await catchUp(options, embedder, table, before);
  await assertComplete(options, embedder, table);
  const { facts, reports } = await indexAndTry(options, table, before);
  // What was written while the indexes were built.
  await catchUp(options, embedder, table, before);
  const { version } = options.artifact.manifest;
  await setRetrievalFacts(db, version, facts);
  // Those who serve it already take the new indexes and plans.
  if (before === version) await announceServed(db);
  // A table that is served already keeps its mark, and the states made from it.
  if (!table.whole) await markWhole(db, table.vectorsVersion);
  return reports;
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
  const { config, version, createdAt } = artifact.manifest;
  const total = embedder.trainedItems;
  const batch = embeddingBatch(config.featureWidth, config.sizes.at(-1)!);
  // What a search meets together lies together then, in the table and in every index.
  const order = await embedder.orderTrained();
  for (let from = 0; from < total; from += batch) {
    const rows = embedder.embedTrained(order.subarray(from, from + batch));
    // Their features are as old as the model: what the catalogue changed since is embedded after this.
    await insertVectors(db, version, rows, new Date(createdAt));
    options.onProgress?.({ phase: 'embed', done: from + rows.length, total });
  }
}

async function assertComplete(
  { db, artifact }: PublishOptions,
  embedder: ItemEmbedder,
  { vectorsVersion }: SharedTable,
): Promise<void> {
  const { config, version } = artifact.manifest;
  const facts = await readTableFacts(db, vectorsVersion);
  if (facts.trained === embedder.trainedItems && facts.dim === config.sizes.at(-1)) return;
  throw new PublishConflict({
    detail:
      `the vectors of ${version} are ${facts.trained} of ${facts.dim} coordinates, wanted ` +
      `${embedder.trainedItems} of ${config.sizes.at(-1)}; another publisher may be at work, publish again`,
  });
}

async function indexAndTry(options: PublishOptions, table: SharedTable, before: string | null) {
  const { vectorsVersion } = table;
  const { db, artifact, logger } = options;
  const { config, version } = artifact.manifest;
  const minRecall = options.minRecall ?? DEFAULT_MIN_RECALL;
  const shared = vectorsVersion !== version;
  await db.transaction((tx) => refreshPopularity(tx), { statementTimeoutMs: 0 });
  await db.query(`ANALYZE ${itemVectorsTable(vectorsVersion)}`);
  const served = servedSizes(config.sizes, options.tiers);
  const gate: RecallGate = {
    // What is served already is measured, not judged: its indexes are not replaced under its readers.
    minRecall: before === version || shared ? 0 : minRecall,
    queries: await sampleQueries(
      db,
      artifact,
      options.recallQueries ?? DEFAULT_RECALL_QUERIES,
      vectorsVersion,
    ),
  };
  // Of a table made anew nothing stands, whatever is written down.
  const standing = table.whole ? ((await getVersion(db, version))?.indexes ?? []) : [];
  const built = await buildCheckedIndexes(db, {
    ...{ version: vectorsVersion, sizes: config.sizes, served, gate, logger, standing },
    live: table.whole,
    norms: await hasNorms(db, vectorsVersion),
    shortlist: options.shortlistIndex,
    onIndex: (done) => options.onProgress?.({ phase: 'index', done, total: served.length }),
  });
  const weak =
    before === version ? undefined : built.reports.find(({ recall }) => recall < minRecall);
  if (shared && weak !== undefined) {
    throw new PublishRefused({
      detail:
        `the index of ${vectorsVersion}, which ${version} shares, finds ${weak.recall.toFixed(3)} of the exact ` +
        `top 20 at ${weak.dim} dimensions, wanted ${minRecall}; train with --warm-start instead, which gets ` +
        'indexes of its own, or ask for less recall (--min-recall)',
    });
  }
  return built;
}
