/**
 * Query vectors to try a version's indexes with: those of real users, as they would be served.
 *
 * The same data give the same sample. Where there are too few users, histories of one item fill it up.
 */
import type { Database, Queryable } from '@nestrec/database';
import { parseVector } from '@nestrec/database';
import { createRandom } from '@nestrec/random';
import type { Artifact } from '@nestrec/registry';
import { itemVectorsTable, recentInteractionsOfMany } from '@nestrec/storage';
import { createCell } from '@nestrec/streaming';

const SEED = 17;
/** Newest events that a query is made of: enough to be typical, few enough to read for all. */
const HISTORY_EVENTS = 20;
/** Interactions read for each user wanted: users with long histories come up more than once. */
const EVENTS_PER_USER = 50;

/** Up to `count` query vectors of D coordinates, made of the vectors in the table that `vectorsVersion` has. */
export async function sampleQueries(
  db: Database,
  artifact: Artifact,
  count: number,
  vectorsVersion: string,
): Promise<Float32Array[]> {
  const { config } = artifact.manifest;
  const cell = createCell(config, artifact.parameters);
  const users = await sampleUsers(db, count);
  const histories = await recentInteractionsOfMany(db, users, HISTORY_EVENTS);
  const random = createRandom(SEED);
  const singles = Array.from(
    { length: count },
    () => artifact.itemIds[random.int(artifact.itemIds.length)]!,
  );
  const lists = [...histories.values()].map((events) => events.map((event) => event.itemId));
  const vectors = await readVectors(db, vectorsVersion, [
    ...new Set([...lists.flat(), ...singles]),
  ]);
  const queries: Float32Array[] = [];
  for (const list of [...lists, ...singles.map((itemId) => [itemId])]) {
    if (queries.length === count) break;
    const known = list.map((itemId) => vectors.get(itemId)).filter((v) => v !== undefined);
    if (known.length > 0) queries.push(cell.query(cell.fold(known)));
  }
  return queries;
}

async function sampleUsers(db: Queryable, count: number): Promise<string[]> {
  const { rows: estimates } = await db.query<{ rows: number }>(
    `SELECT reltuples::float8 AS rows FROM pg_class WHERE oid = to_regclass('interactions')`,
  );
  // Never analysed: -1. Then all pages are read, up to the limit below.
  const events = Math.max(estimates[0]?.rows ?? 0, 1);
  const percent = Math.min(100, (100 * 2 * count * EVENTS_PER_USER) / events);
  const { rows } = await db.query<{ user_id: string }>(
    `SELECT DISTINCT user_id FROM (
       SELECT user_id FROM interactions TABLESAMPLE SYSTEM ($1) REPEATABLE (${SEED}) LIMIT $2) s
     ORDER BY user_id LIMIT $3`,
    [percent, count * EVENTS_PER_USER, count],
  );
  return rows.map((row) => row.user_id);
}

async function readVectors(
  db: Queryable,
  version: string,
  itemIds: readonly string[],
): Promise<Map<string, Float32Array>> {
  const { rows } = await db.query<{ item_id: string; embedding: string }>(
    `SELECT item_id, embedding FROM ${itemVectorsTable(version)} WHERE item_id = ANY($1)`,
    [itemIds],
  );
  return new Map(rows.map((row) => [row.item_id, parseVector(row.embedding)]));
}
