/**
 * The models that states are stepped with: loaded once per version, outside any transaction.
 *
 * A model that cannot be loaded does not stop events: they are stored, the states they would have changed
 * are dropped, and whoever needs one rebuilds it. Loading is tried again after a pause.
 */
import { getVersion } from '@nestrec/storage';
import type { Queryable } from '@nestrec/database';
import { ModelNotFound } from '@nestrec/errors';
import { loadServingArtifact, type ServingArtifact } from '@nestrec/registry';
import type { Clock, Logger } from '@nestrec/runtime';
import { createCell, type Cell } from '@nestrec/streaming';

export interface SteppingModel {
  readonly version: string;
  readonly cell: Cell;
  /** How many newest events make a state, from the manifest. */
  readonly replayEvents: number;
}

export type LoadModel = (version: string) => Promise<SteppingModel>;

/** Loads from the artifact that `model_versions` points to; keeps no features and no item ids. */
export function artifactModels(db: Queryable): LoadModel {
  return async (version) => {
    const row = await getVersion(db, version);
    if (row === null) {
      throw new ModelNotFound({ detail: `version ${version} is not in model_versions` });
    }
    return steppingModel(await loadServingArtifact(row.path));
  };
}

/** What of an artifact steps states. */
export function steppingModel({ manifest, parameters }: ServingArtifact): SteppingModel {
  return {
    version: manifest.version,
    cell: createCell(manifest.config, parameters),
    replayEvents: manifest.replayEvents,
  };
}

export interface ModelCache {
  /** The model if it is loaded, null if it could not be, undefined if it has not been tried. */
  peek(version: string): SteppingModel | null | undefined;
  /** Loads it; resolves also where that fails. */
  load(version: string): Promise<void>;
}

/** The published version and its predecessor, for a rollback. */
const KEPT_VERSIONS = 2;
const RETRY_AFTER_MS = 30_000;

export function createModelCache(load: LoadModel, clock: Clock, logger: Logger): ModelCache {
  const models = new Map<string, SteppingModel>();
  const failedAt = new Map<string, number>();
  /** Partitions that want the same model wait for one loading of it. */
  const loading = new Map<string, Promise<void>>();

  const loadOne = async (version: string) => {
    try {
      const model = await load(version);
      failedAt.delete(version);
      models.set(version, model);
      for (const old of [...models.keys()].slice(0, -KEPT_VERSIONS)) models.delete(old);
      logger.info({ modelVersion: version, dim: model.cell.dim }, 'model loaded');
    } catch (error) {
      failedAt.set(version, clock.now());
      logger.error(
        { err: error, modelVersion: version },
        'the published model cannot be loaded: events are stored, states are not stepped',
      );
    } finally {
      loading.delete(version);
    }
  };
  return {
    peek: (version) => {
      const model = models.get(version);
      if (model !== undefined) return model;
      const failed = failedAt.get(version);
      return failed !== undefined && clock.now() < failed + RETRY_AFTER_MS ? null : undefined;
    },
    load: (version) => {
      const running = loading.get(version) ?? loadOne(version);
      loading.set(version, running);
      return running;
    },
  };
}
