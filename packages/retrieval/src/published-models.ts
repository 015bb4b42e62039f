/**
 * The published model, held in memory, following the pointer.
 *
 * A request takes the model once and uses it to its end, so it sees one version everywhere. The next one
 * is loaded completely and warmed up beside the old one, and takes its place only if it is still the
 * published one then; a version that cannot be loaded leaves the old one serving. One that was published
 * again, for the indexes of tiers that came later, takes its own place in the same way.
 *
 * Whoever hears that the pointer moved says so by `wake`. The poll is the net under that: the pointer is
 * looked at when a request comes, at most once per `pollMs`.
 */
import type { Manifest } from '@nestrec/contracts';
import type { Queryable } from '@nestrec/database';
import {
  DatabaseUnavailable,
  InvalidArtifact,
  isError,
  ModelNotFound,
  NoPublishedModel,
} from '@nestrec/errors';
import { loadServingArtifact, type ServingArtifact } from '@nestrec/registry';
import { systemClock, type Clock, type Logger } from '@nestrec/runtime';
import {
  getServed,
  getVersion,
  itemVectorsTable,
  type ModelVersion,
  type RetrievalFacts,
} from '@nestrec/storage';
import { createCell, type Cell } from '@nestrec/streaming';

export interface PublishedModel {
  readonly version: string;
  readonly manifest: Manifest;
  readonly cell: Cell;
  /** The version that has the item vectors: this one, or one with a bit-equal item side. */
  readonly vectorsVersion: string;
  /** Quoted name of the table of item vectors. */
  readonly table: string;
  /** Items in it, as last counted: when the model was loaded, and once a minute. */
  readonly rows: number;
  /** What its table offers to searches. */
  readonly facts: RetrievalFacts;
  /** Differs once the version is published again with other indexes or plans. */
  readonly factsDigest: string;
}

export interface PublishedModels {
  /**
   * The model to serve a request with. Waits only for the first one.
   * @throws NoPublishedModel before the first publish, and what loading the first model throws
   */
  current(): Promise<PublishedModel>;
  /**
   * Looks at the pointer now and waits until its model is loaded: after a publish in this process.
   * @throws what reading the pointer or loading the model throws; what was served before serves on then
   */
  refresh(): Promise<PublishedModel>;
  /** The model that `current` would give without waiting; null before the first. */
  peek(): PublishedModel | null;
  /** Looks at the pointer now, waiting for nothing: it moved, or may have. */
  wake(): void;
  /** The published version that this process could not load and serves another instead of; null: none. */
  failed(): string | null;
}

/** How following the pointer to a version ended. */
export type FollowResult = 'loaded' | 'failed';

export interface PublishedModelsOptions {
  readonly db: Queryable;
  readonly logger: Logger;
  readonly clock?: Clock;
  /** Pause between two looks at the pointer, ms. Default 500: a rollback is served within 2 s. */
  readonly pollMs?: number;
  /**
   * Reads an artifact. Default: the registry's, in a thread, from the folder that the version was published
   * from.
   */
  readonly loadArtifact?: (version: string, path: string) => Promise<ServingArtifact>;
  /** Makes a loaded model fast before its first request; a failure of it is logged and stops nothing. */
  readonly warmUp?: (model: PublishedModel) => Promise<void>;
  /** Told each time that a version took its place, or could not. */
  readonly onFollowed?: (result: FollowResult, version: string) => void;
}

/** What of an artifact serves; without features, item ids and item vectors it is small. */
type Loaded = Pick<PublishedModel, 'version' | 'manifest' | 'cell'>;

const DEFAULT_POLL_MS = 500;
/** A version that could not be loaded is tried again after this. */
const RETRY_MS = 10_000;
/** Rows of the served version are counted again after this. */
const RECOUNT_MS = 60_000;

export function createPublishedModels(options: PublishedModelsOptions): PublishedModels {
  const { db, logger, clock = systemClock, pollMs = DEFAULT_POLL_MS } = options;
  const load = createLoader(options);
  const recount = createRecount(db, clock);
  let model: PublishedModel | null = null;
  /** Until when a version that could not be loaded is not tried again, and why it could not. */
  let failure: { version: string; untilMs: number; error: unknown } | null = null;
  let nextLookAt = Number.NEGATIVE_INFINITY;
  let following: Promise<PublishedModel> | null = null;
  let wakened = false;
  let toldOfFailure = false;

  /** Follows until nobody has said meanwhile that the pointer moved. */
  const follow = async (): Promise<PublishedModel> => {
    for (;;) {
      wakened = false;
      try {
        const served = await followOneStep();
        toldOfFailure = false;
        if (!wakened) return served;
      } catch (error) {
        if (!wakened) throw error;
      }
    }
  };
  /** Loads what the pointer names and lets it take its place, unless the pointer moved on meanwhile. */
  const followOneStep = async (): Promise<PublishedModel> => {
    const { version, factsDigest } = await served(db);
    if (model?.version === version && model.factsDigest === factsDigest) {
      failure = null;
      return (model = await recount(model));
    }
    if (failure?.version === version && clock.now() < failure.untilMs) {
      if (model === null) throw failure.error;
      return model;
    }
    const next = await tryToLoad(version);
    if (model === null && next !== null) return take(next);
    if (next !== null && (await served(db)).version === version) return take(next);
    wakened ||= next !== null;
    return model!;
  };
  /** null where it cannot be loaded and there is another to serve with. */
  const tryToLoad = async (version: string): Promise<PublishedModel | null> => {
    try {
      return await load(version);
    } catch (error) {
      // Says nothing about the version.
      if (isError(error, DatabaseUnavailable)) throw error;
      failure = { version, untilMs: clock.now() + RETRY_MS, error };
      options.onFollowed?.('failed', version);
      logger.error(
        { err: error, version, served: model?.version ?? null },
        'the published model cannot be loaded; what was served before serves on',
      );
      if (model === null) throw error;
      return null;
    }
  };
  const take = (next: PublishedModel) => {
    logger.info(
      { version: next.version, replaces: model?.version ?? null, rows: next.rows },
      'serving a model version',
    );
    model = next;
    failure = null;
    options.onFollowed?.('loaded', next.version);
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
  /** A clock that was set back must not put the next look off. */
  const isDue = () => clock.now() >= nextLookAt || clock.now() < nextLookAt - pollMs;
  const lookAside = () => {
    followOnce().catch((error: unknown) => {
      // Nothing published yet is no fault, and whoever asks is told.
      if (isError(error, NoPublishedModel)) return;
      if (error === failure?.error || toldOfFailure) return;
      toldOfFailure = true;
      logger.warn({ err: error, served: model?.version ?? null }, 'the pointer cannot be followed');
    });
  };
  return {
    current: async () => {
      if (model === null) return followOnce();
      if (following === null && isDue()) lookAside();
      return model;
    },
    refresh: async () => {
      await following?.catch(() => undefined);
      if (failure !== null) failure.untilMs = Number.NEGATIVE_INFINITY;
      const served = await followOnce();
      if (failure !== null) throw failure.error;
      return served;
    },
    peek: () => model,
    wake: () => {
      wakened = true;
      if (following === null) lookAside();
    },
    failed: () => failure?.version ?? null,
  };
}

async function served(db: Queryable): Promise<Pick<ModelVersion, 'version' | 'factsDigest'>> {
  const pointed = await getServed(db);
  if (pointed !== null) return pointed;
  throw new NoPublishedModel({
    detail: 'nothing is published yet; run `nestrec train` and `nestrec publish`',
    retryAfterSeconds: 10,
  });
}

/**
 * Loads versions and warms them up. The version loaded before the newest one stays in memory, so that a
 * rollback reads no artifact, and needs none. It served here lately, so it takes its place at once and is warmed
 * up beside its first answers: who rolls back is in a hurry.
 */
function createLoader(
  options: PublishedModelsOptions,
): (version: string) => Promise<PublishedModel> {
  const { db, logger } = options;
  let kept: readonly PublishedModel[] = [];
  return async (version) => {
    const row = await getVersion(db, version);
    if (row === null) {
      throw new ModelNotFound({ detail: `version ${version} is published but not registered` });
    }
    const before = kept.find((one) => one.version === version);
    const { version: name, manifest, cell } = before ?? (await read(options, row));
    const { vectorsVersion } = row;
    const table = itemVectorsTable(vectorsVersion);
    const isAsBefore =
      before?.factsDigest === row.factsDigest && before.vectorsVersion === vectorsVersion;
    const model: PublishedModel = {
      ...{ version: name, manifest, cell },
      vectorsVersion,
      table,
      rows: isAsBefore ? before.rows : await countRows(db, table),
      facts: { indexes: row.indexes, plans: row.plans, norms: row.norms },
      factsDigest: row.factsDigest,
    };
    const warmedUp = options.warmUp?.(model).catch((error: unknown) => {
      logger.warn({ err: error, version }, 'a model version serves without having been warmed up');
    });
    if (!isAsBefore) await warmedUp;
    kept = [model, ...kept.filter((one) => one !== before)].slice(0, KEPT_LOADED);
    return model;
  };
}

/** Items come while a version serves, and how a list is best found goes by how many there are. */
function createRecount(
  db: Queryable,
  clock: Clock,
): (served: PublishedModel) => Promise<PublishedModel> {
  let counted = { table: '', atMs: 0 };
  return async (served) => {
    const sinceMs = clock.now() - counted.atMs;
    const isNew = counted.table !== served.table;
    if (!isNew && sinceMs >= 0 && sinceMs < RECOUNT_MS) return served;
    counted = { table: served.table, atMs: clock.now() };
    if (isNew) return served;
    const rows = await countRows(db, served.table);
    return rows === served.rows ? served : { ...served, rows };
  };
}

async function countRows(db: Queryable, table: string): Promise<number> {
  const { rows } = await db.query<{ rows: bigint }>(`SELECT count(*) AS rows FROM ${table}`);
  return Number(rows[0]!.rows);
}

/** The model that serves and the one before it. */
const KEPT_LOADED = 2;

/**
 * Reads the artifact that the version was published from. Another one in its place, sound as it may be,
 * would be served with item vectors that are not its own.
 * @throws InvalidArtifact, InputNotFound
 */
async function read(
  { loadArtifact: load = (_version, path) => loadServingArtifact(path) }: PublishedModelsOptions,
  { version, path, manifest: published }: ModelVersion,
): Promise<Loaded> {
  const { manifest, parameters } = await load(version, path);
  if (manifest.version !== version || !sameFiles(manifest, published)) {
    throw new InvalidArtifact({
      detail: `the artifact in ${path} is not the one that ${version} was published from`,
    });
  }
  return { version, manifest, cell: createCell(manifest.config, parameters) };
}

function sameFiles(a: Manifest, b: Manifest): boolean {
  const hashes = ({ files }: Manifest) =>
    files
      .map(({ name, sha256 }) => `${name} ${sha256}`)
      .sort()
      .join();
  return hashes(a) === hashes(b);
}
