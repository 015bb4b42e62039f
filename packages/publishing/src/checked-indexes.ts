/** Builds the prefix indexes of a version and tries each before it may serve. */
import type { Database } from '@nestrec/database';
import { PublishRefused } from '@nestrec/errors';
import type { Logger } from '@nestrec/runtime';
import { BUILD_LADDER, buildPrefixIndex, indexBytes, MAX_INDEXED_DIM } from './prefix-indexes.js';
import { measureRecall, RECALL_AT } from './recall.js';

export interface RecallGate {
  /** Least mean recall@20 against the exact scan. */
  readonly minRecall: number;
  /** Query vectors of D coordinates. */
  readonly queries: readonly Float32Array[];
}

/** What one dimension got. */
export interface DimReport {
  readonly dim: number;
  /** Recall@20 of the index on the sampled queries, as served. */
  readonly recall: number;
  /** Bytes of the index on disk. */
  readonly bytes: number;
}

export interface IndexObserver {
  readonly logger: Logger;
  readonly onIndex?: (done: number) => void;
}

/**
 * An index per dimension of `dims`, each with at least the recall asked for.
 * @throws PublishRefused when even the best-connected index finds too little
 */
export async function buildCheckedIndexes(
  db: Database,
  version: string,
  sizes: readonly number[],
  dims: readonly number[],
  gate: RecallGate,
  observer: IndexObserver,
): Promise<DimReport[]> {
  const fullDim = sizes.at(-1)!;
  if (fullDim > MAX_INDEXED_DIM) {
    observer.logger.warn(
      { version, dim: fullDim, limit: MAX_INDEXED_DIM },
      'sizes above the limit of HNSW are served by the exact scan',
    );
  }
  const reports: DimReport[] = [];
  for (const dim of dims) {
    const recall = await buildUntilGood(db, version, dim, fullDim, gate, observer.logger);
    const bytes = await indexBytes(db, version, dim);
    observer.logger.info({ version, dim, recall, bytes }, 'prefix index built');
    reports.push({ dim, recall, bytes });
    observer.onIndex?.(reports.length);
  }
  return reports;
}

async function buildUntilGood(
  db: Database,
  version: string,
  dim: number,
  fullDim: number,
  gate: RecallGate,
  logger: Logger,
): Promise<number> {
  let recall = 0;
  for (const [rung, settings] of BUILD_LADDER.entries()) {
    await buildPrefixIndex(db, version, dim, fullDim, settings, rung > 0);
    recall = await measureRecall(db, version, dim, fullDim, gate.queries);
    if (recall >= gate.minRecall) return recall;
    logger.warn({ version, dim, recall, ...settings }, 'the index finds too little');
  }
  throw new PublishRefused({
    detail:
      `the index of ${version} at ${dim} dimensions finds ${recall.toFixed(3)} of the exact top ` +
      `${RECALL_AT}, wanted ${gate.minRecall}; to accept it, ask for less recall (--min-recall)`,
  });
}
