/**
 * Gives a version's table the indexes and plans that the tiers need, and decides which of them are judged: what
 * stands for those who are served is measured only, what is new has to find enough.
 */
import { PublishRefused } from '@nestrec/errors';
import type { Database } from '@nestrec/database';
import type { Artifact } from '@nestrec/registry';
import type { Logger } from '@nestrec/runtime';
import { itemVectorsTable, listVersions, refreshPopularity } from '@nestrec/storage';
import { buildCheckedIndexes, isSamePlan, type CheckedIndexes } from './checked-indexes.js';
import type { ShortlistIndex } from './plan-options.js';
import { servedSizes, type TierNeed } from './prefix-indexes.js';
import { sampleQueries } from './sample-queries.js';
import type { SharedTable } from './shared-vectors.js';
import { hasNorms } from './vector-table.js';

export const DEFAULT_MIN_RECALL = 0.95;
/** Of 20 rows each. With 100, a walk that 300 said was wide enough was passed over (docs/experiments.md). */
const DEFAULT_RECALL_QUERIES = 200;

export interface IndexVersionOptions {
  readonly db: Database;
  readonly artifact: Artifact;
  readonly tiers: readonly TierNeed[];
  readonly shortlistIndex?: ShortlistIndex;
  readonly logger: Logger;
  readonly minRecall?: number;
  readonly recallQueries?: number;
  /** Called after each size. */
  readonly onIndex: (done: number, total: number) => void;
}

/**
 * @param isServed whether the version is published: then what finds too little is not taken, and what serves stays
 * @throws PublishRefused where an index finds too little and the version is not served
 */
export async function indexVersion(
  options: IndexVersionOptions,
  table: SharedTable,
  isServed: boolean,
): Promise<CheckedIndexes> {
  const { db, artifact, logger, minRecall = DEFAULT_MIN_RECALL } = options;
  const { vectorsVersion } = table;
  const { config, version } = artifact.manifest;
  const isShared = vectorsVersion !== version;
  await db.transaction((tx) => refreshPopularity(tx), { statementTimeoutMs: 0 });
  await db.query(`ANALYZE ${itemVectorsTable(vectorsVersion)}`);
  const served = servedSizes(config.sizes, options.tiers);
  const queryCount = options.recallQueries ?? DEFAULT_RECALL_QUERIES;
  const queries = await sampleQueries(db, artifact, queryCount, vectorsVersion);
  // Of a table made anew nothing stands, whatever is written down.
  const users = table.whole
    ? (await listVersions(db)).filter((one) => one.vectorsVersion === vectorsVersion)
    : [];
  const standing = users.flatMap(({ indexes }) => indexes);
  const inForce = isServed ? (users.find((one) => one.version === version)?.plans ?? []) : [];
  const built = await buildCheckedIndexes(db, {
    ...{ version: vectorsVersion, sizes: config.sizes, served, logger, isServed },
    gate: { minRecall, queries },
    ...{ standing, inForce },
    unjudged: (plan) =>
      isServed
        ? inForce.some((other) => isSamePlan(other, plan))
        : // It is refused below, with the cure for shared ones.
          isShared && standing.some(({ name }) => name === plan.index),
    live: table.whole,
    norms: await hasNorms(db, vectorsVersion),
    shortlist: options.shortlistIndex,
    onIndex: (done) => options.onIndex(done, served.length),
  });
  const weak = isServed ? undefined : built.reports.find(({ recall }) => recall < minRecall);
  if (isShared && weak !== undefined) {
    throw new PublishRefused({
      detail:
        `the index of ${vectorsVersion}, which ${version} shares, finds ${weak.recall.toFixed(3)} of the exact ` +
        `top 20 at ${weak.dim} dimensions, wanted ${minRecall}; train with --warm-start instead, which gets ` +
        'indexes of its own, or ask for less recall (--min-recall)',
    });
  }
  return built;
}
