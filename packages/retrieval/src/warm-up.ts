/**
 * Makes a loaded version fast before its first request: its pages come into memory, the server's and ours,
 * by the very statements that will serve.
 *
 * With the extension pg_prewarm its table and indexes are read first; then, with or without, requests of
 * real users are answered at every tier's size and the answers thrown away, round by round, until another
 * round is no faster than the one before. The time is bounded: a slow first minute is better than an old
 * version for ever.
 */
import type { TierPlan } from '@nestrec/contracts';
import type { Queryable } from '@nestrec/database';
import type { Logger } from '@nestrec/runtime';
import { listTiers, sampleActiveUsers } from '@nestrec/storage';
import type { PublishedModel, PublishedModels } from './published-models.js';
import { createRecommender, type Recommender } from './recommender.js';

export interface WarmUpOptions {
  readonly db: Queryable;
  readonly logger: Logger;
  /** No new request begins after this. Default 5 s. */
  readonly limitMs?: number;
}

const DEFAULT_LIMIT_MS = 5_000;
const USERS_PER_ROUND = 10;
const MOST_ROUNDS = 20;
/** A round that takes more than this share of the one before shows that little is left to warm. */
const SETTLED = 0.8;
const K = 20;

export function createWarmUp(options: WarmUpOptions): (model: PublishedModel) => Promise<void> {
  const { db, logger, limitMs = DEFAULT_LIMIT_MS } = options;
  return async (model) => {
    const startedAtMs = performance.now();
    const isOver = () => performance.now() - startedAtMs > limitMs;
    const prewarmed = await prewarm(db, model, isOver);
    const served = await servedSizes(db, model);
    const users = await sampleActiveUsers(db, USERS_PER_ROUND * MOST_ROUNDS);
    const recommender = createRecommender({ db, models: alone(model), logger });
    const rounds: number[] = [];
    while (rounds.length < MOST_ROUNDS && !isOver() && !hasSettled(rounds)) {
      rounds.push(await runRound(recommender, roundOf(users, rounds.length), served, isOver));
    }
    logger.info(
      {
        ...{ version: model.version, served, prewarmed, rounds: rounds.length },
        ...{ tookMs: Math.round(performance.now() - startedAtMs), complete: !isOver() },
      },
      'a model version was warmed up',
    );
  };
}

function hasSettled(roundsMs: readonly number[]): boolean {
  const [before, last] = roundsMs.slice(-2);
  return before !== undefined && last !== undefined && last > SETTLED * before;
}

/** Other users each time, as long as there are any; none are known: the empty history. */
function roundOf(users: readonly string[], round: number): readonly string[] {
  if (users.length === 0) return [''];
  const rounds = Math.ceil(users.length / USERS_PER_ROUND);
  const from = (round % rounds) * USERS_PER_ROUND;
  return users.slice(from, from + USERS_PER_ROUND);
}

/** Answers each user at each size, one after the other: others are being served meanwhile. Milliseconds. */
async function runRound(
  recommender: Recommender,
  users: readonly string[],
  served: readonly ServedSize[],
  isOver: () => boolean,
): Promise<number> {
  const startedAtMs = performance.now();
  for (const userId of users) {
    for (const at of served) {
      if (isOver()) break;
      const request = { k: K, ...at, maxDim: null };
      if (userId === '') await recommender.recommendForSession({ items: [], ...request });
      else await recommender.recommendForUser({ userId, ...request });
    }
  }
  return performance.now() - startedAtMs;
}

interface ServedSize {
  readonly dim: number;
  readonly exitBlocks: number | null;
  readonly plan: TierPlan;
}

/** The sizes and exits that tiers are served at, and how; ascending, each once. */
async function servedSizes(db: Queryable, { cell }: PublishedModel): Promise<ServedSize[]> {
  const served = new Map<string, ServedSize>();
  for (const { max_dim, exit_blocks: exitBlocks, plan } of await listTiers(db)) {
    const dim = cell.sizes.findLast((size) => max_dim === null || size <= max_dim);
    if (dim !== undefined) served.set(`${dim} ${exitBlocks} ${plan}`, { dim, exitBlocks, plan });
  }
  return [...served.values()].sort((a, b) => a.dim - b.dim);
}

/** The model as if it were published, for a recommender of its own. */
function alone(model: PublishedModel): PublishedModels {
  return {
    current: () => Promise.resolve(model),
    refresh: () => Promise.resolve(model),
    peek: () => model,
    wake: () => undefined,
    failed: () => null,
  };
}

/**
 * Reads table and indexes where pg_prewarm is installed: into shared buffers where they take at most a
 * quarter of these, otherwise into the system's cache only, for the buffers still serve the old version.
 * @returns whether it was
 */
async function prewarm(
  db: Queryable,
  { table }: PublishedModel,
  isOver: () => boolean,
): Promise<boolean> {
  const { rows: installed } = await db.query(
    `SELECT 1 FROM pg_extension WHERE extname = 'pg_prewarm'`,
  );
  if (installed.length === 0) return false;
  const { rows } = await db.query<{ relation: string; fits: boolean }>(
    `WITH relations AS (
       SELECT to_regclass($1)::oid AS oid
       UNION ALL SELECT indexrelid FROM pg_index WHERE indrelid = to_regclass($1))
     SELECT oid::regclass::text AS relation,
       sum(pg_relation_size(oid)) OVER () * 4
         <= (SELECT setting::int8 FROM pg_settings WHERE name = 'shared_buffers') * 8192 AS fits
     FROM relations`,
    [table],
  );
  for (const { relation, fits } of rows) {
    if (isOver()) break;
    await db.query('SELECT pg_prewarm($1::text::regclass, $2)', [
      relation,
      fits ? 'buffer' : 'read',
    ]);
  }
  return true;
}
