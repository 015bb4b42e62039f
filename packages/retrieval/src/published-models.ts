/**
 * The published model, held in memory, following the pointer.
 *
 * A request takes the model once and uses it to its end, so it sees one version everywhere. The next one
 * is loaded completely beside the old one and then takes its place; a version that cannot be loaded
 * leaves the old one serving. The pointer is looked at, at most once per `pollMs`, when a request comes.
 */
import type { Manifest } from '@nestrec/contracts';
import type { Queryable } from '@nestrec/database';
import { ModelNotFound, NoPublishedModel } from '@nestrec/errors';
import { loadArtifact, type Artifact } from '@nestrec/registry';
import { systemClock, type Clock, type Logger } from '@nestrec/runtime';
import { getPublished, getVersion, itemVectorsTable, type RetrievalFacts } from '@nestrec/storage';
import { createCell, type Cell } from '@nestrec/streaming';

export interface PublishedModel {
  readonly version: string;
  readonly manifest: Manifest;
  readonly cell: Cell;
  /** The version that has the item vectors: this one, or one with a bit-equal item side. */
  readonly vectorsVersion: string;
  /** Quoted name of the table of item vectors. */
  readonly table: string;
  /** Items in it when the model was loaded. */
  readonly rows: number;
  /** What its table offers to searches. */
  readonly facts: RetrievalFacts;
  /** Sizes that an index serves, their own or that of a shortlist. */
  readonly indexedDims: ReadonlySet<number>;
}

export interface PublishedModels {
  /**
   * The model to serve a request with. Waits only for the first one.
   * @throws NoPublishedModel before the first publish, and what loading the first model throws
   */
  current(): Promise<PublishedModel>;
  /**
   * Looks at the pointer now and waits until its model is loaded: after a publish in this process.
   * @throws what reading the pointer or loading the model throws
   */
  refresh(): Promise<PublishedModel>;
  /** The model that `current` would give without waiting; null before the first. */
  peek(): PublishedModel | null;
}

export interface PublishedModelsOptions {
  readonly db: Queryable;
  readonly logger: Logger;
  readonly clock?: Clock;
  /** Pause between two looks at the pointer, ms. Default 500: a rollback is served within 2 s. */
  readonly pollMs?: number;
  /** Reads an artifact. Default: the registry's, from the folder that the version was published from. */
  readonly loadArtifact?: (
    version: string,
    path: string,
  ) => Promise<Pick<Artifact, 'manifest' | 'parameters'>>;
}

const DEFAULT_POLL_MS = 500;
/** A version that could not be loaded is tried again after this. */
const RETRY_MS = 10_000;

export function createPublishedModels(options: PublishedModelsOptions): PublishedModels {
  const { db, logger, clock = systemClock, pollMs = DEFAULT_POLL_MS } = options;
  let model: PublishedModel | null = null;
  let nextLookAt = Number.NEGATIVE_INFINITY;
  let following: Promise<PublishedModel> | null = null;

  const follow = async (): Promise<PublishedModel> => {
    const pointer = await getPublished(db);
    if (pointer === null) {
      throw new NoPublishedModel({
        detail: 'nothing is published yet; run `nestrec train` and `nestrec publish`',
        retryAfterSeconds: 10,
      });
    }
    if (model?.version === pointer.version) return model;
    const next = await loadModel(options, pointer.version);
    logger.info(
      { version: next.version, replaces: model?.version ?? null, rows: next.rows },
      'serving a model version',
    );
    model = next;
    return next;
  };
  /** All who wait share one look, unless it began before they asked for a fresh one. */
  const followOnce = (): Promise<PublishedModel> => {
    following ??= follow().finally(() => {
      following = null;
      nextLookAt = clock.now() + pollMs;
    });
    return following;
  };
  const lookAside = () => {
    const served = model?.version;
    followOnce().catch((error: unknown) => {
      nextLookAt = clock.now() + RETRY_MS;
      logger.error(
        { err: error, served },
        'the published model cannot be loaded; the old one serves on',
      );
    });
  };
  return {
    current: async () => {
      if (model === null) return followOnce();
      if (following === null && clock.now() >= nextLookAt) lookAside();
      return model;
    },
    refresh: async () => {
      await following?.catch(() => undefined);
      return followOnce();
    },
    peek: () => model,
  };
}

async function loadModel(
  { db, loadArtifact: load = (_version, path) => loadArtifact(path) }: PublishedModelsOptions,
  version: string,
): Promise<PublishedModel> {
  const row = await getVersion(db, version);
  if (row === null) {
    throw new ModelNotFound({ detail: `version ${version} is published but not registered` });
  }
  const { manifest, parameters } = await load(version, row.path);
  const { vectorsVersion } = row;
  const table = itemVectorsTable(vectorsVersion);
  const { rows } = await db.query<{ rows: bigint }>(`SELECT count(*) AS rows FROM ${table}`);
  return {
    version,
    manifest,
    cell: createCell(manifest.config, parameters),
    vectorsVersion,
    table,
    rows: Number(rows[0]!.rows),
    facts: { indexes: row.indexes, plans: row.plans, norms: row.norms },
    indexedDims: new Set([
      ...row.indexDims,
      ...row.plans.filter(({ index }) => index !== null).map(({ dim }) => dim),
    ]),
  };
}
