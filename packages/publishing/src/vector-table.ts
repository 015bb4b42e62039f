/**
 * A table of item vectors: made, filled, read for its checks, dropped. It has the name of one version, here
 * always the one that has it (`vectorsVersion`); others may share it.
 *
 * One row per item that the version can score. `trained` tells the model's own items from those that
 * came with the catalogue only; `removed` marks items deleted from the catalogue, whose vectors the
 * histories of users still need; `updated_at` is when the item was read, so that later changes show.
 */
import { vectorText, type Database, type Queryable } from '@nestrec/database';
import {
  itemVectorsTable,
  lockVectors,
  NORMS_COLUMN,
  normsColumn,
  recordVectorChanges,
  restartVectorRevisions,
  lockVectorsShared,
} from '@nestrec/storage';

export interface VectorRow {
  readonly itemId: string;
  readonly vector: Float32Array;
  /** Whether the item was among the model's own. */
  readonly trained: boolean;
}

export interface TableFacts {
  readonly rows: number;
  readonly trained: number;
  /** Coordinates of the embedding column. */
  readonly dim: number;
}

/** Any constant: all who move the pointer or drop vectors take this lock, so they do so in turn. */
const PUBLISHING_LOCK = 7_160_326_391n;

/** Held until the transaction ends. */
export async function lockPublishing(tx: Queryable): Promise<void> {
  await tx.query('SELECT pg_advisory_xact_lock($1)', [PUBLISHING_LOCK]);
}

/** Makes the empty table for vectors of nested sizes (ascending); returns its identity, which a table made anew does not share. */
export async function createVectorTable(
  db: Queryable,
  version: string,
  sizes: readonly number[],
): Promise<number> {
  /* eslint-disable no-restricted-syntax -- normsColumn is made of the model's sizes */
  await db.query(
    `CREATE TABLE ${itemVectorsTable(version)} (
       item_id entity_id PRIMARY KEY,
       ${normsColumn(sizes)},
       embedding vector(${Math.trunc(sizes.at(-1)!)}) NOT NULL,
       trained boolean NOT NULL,
       removed boolean NOT NULL DEFAULT false,
       updated_at timestamptz NOT NULL)`,
  );
  /* eslint-enable no-restricted-syntax */
  const table = await findVectorTable(db, version);
  return table!.identity;
}

export interface VectorTable {
  /** The table's object id. */
  readonly identity: number;
  /** Whether it was filled, indexed and checked; any other is left over from a publish that died. */
  readonly whole: boolean;
}

const WHOLE = 'whole';

/** The version's table; null where there is none. */
export async function findVectorTable(db: Queryable, version: string): Promise<VectorTable | null> {
  const { rows } = await db.query<{ identity: number; mark: string | null }>(
    `SELECT oid AS identity, obj_description(oid, 'pg_class') AS mark
     FROM pg_class WHERE oid = to_regclass($1)`,
    [itemVectorsTable(version)],
  );
  const row = rows[0];
  return row === undefined ? null : { identity: row.identity, whole: row.mark === WHOLE };
}

/**
 * Marks the table as filled, indexed and checked; the mark goes with the table. States that were made from
 * an earlier table of the version are out of date from now on.
 */
export async function markWhole(db: Database, version: string): Promise<void> {
  await db.transaction(async (tx) => {
    await restartVectorRevisions(tx, version);
    await tx.query(`COMMENT ON TABLE ${itemVectorsTable(version)} IS '${WHOLE}'`);
  });
}

/** Adds rows that are not there; a row that is there was written by someone with newer data. */
export async function insertVectors(
  db: Queryable,
  version: string,
  rows: readonly VectorRow[],
  readAt: Date,
): Promise<void> {
  await writeVectors(db, version, rows, readAt, 'DO NOTHING');
}

/**
 * Adds the rows that are not there and returns the others, which `upsertVectors` is for. Several of these run
 * beside each other: what is new was in no state yet, so that only replacements need their turn.
 */
export async function addNewVectors(
  db: Database,
  version: string,
  rows: readonly VectorRow[],
  readAt: Date,
): Promise<VectorRow[]> {
  const added = await db.transaction(async (tx) => {
    await lockVectorsShared(tx, version);
    return writeVectors(tx, version, rows, readAt, 'DO NOTHING');
  });
  return rows.filter((row) => !added.has(row.itemId));
}

/**
 * Adds or replaces rows; an item that was removed is back. A row made from what was read later stays: of two
 * writers of one item the one that read last wins, whoever writes last. A vector that becomes another one is
 * written down, so that states that took in the old one are made anew (decision 0020).
 * @param readAt the database's clock before the items were read
 */
export async function upsertVectors(
  db: Database,
  version: string,
  rows: readonly VectorRow[],
  readAt: Date,
): Promise<void> {
  if (rows.length === 0) return;
  await db.transaction(async (tx) => {
    // Before the comparison: of two who write one item, the second has to see what the first wrote.
    await lockVectors(tx, version);
    const changed = await differingItems(tx, version, rows);
    const written = await writeVectors(
      tx,
      version,
      rows,
      readAt,
      `DO UPDATE SET embedding = excluded.embedding, trained = excluded.trained,
         removed = false, updated_at = excluded.updated_at
       WHERE ${itemVectorsTable(version)}.updated_at <= excluded.updated_at`,
    );
    await recordVectorChanges(
      tx,
      version,
      changed.filter((itemId) => written.has(itemId)),
    );
  });
}

/** Items among `rows` whose stored vector is another one; new items are not. */
async function differingItems(
  tx: Queryable,
  version: string,
  rows: readonly VectorRow[],
): Promise<string[]> {
  const { rows: found } = await tx.query<{ item_id: string }>(
    `SELECT v.item_id FROM ${itemVectorsTable(version)} v
     JOIN unnest($1::text[], $2::text[]) n (item_id, embedding) ON n.item_id = v.item_id
     WHERE v.embedding <> n.embedding::vector`,
    [rows.map((row) => row.itemId), rows.map((row) => vectorText(row.vector))],
  );
  return found.map((row) => row.item_id);
}

/** Returns the ids of the rows that were written. */
async function writeVectors(
  db: Queryable,
  version: string,
  rows: readonly VectorRow[],
  readAt: Date,
  onConflict: string,
): Promise<Set<string>> {
  if (rows.length === 0) return new Set();
  /* eslint-disable no-restricted-syntax -- onConflict is one of the constants of this file */
  const { rows: written } = await db.query<{ item_id: string }>(
    `INSERT INTO ${itemVectorsTable(version)} (item_id, embedding, trained, updated_at)
     SELECT item_id, embedding::vector, trained, $4::timestamptz
     FROM unnest($1::text[], $2::text[], $3::bool[]) t (item_id, embedding, trained)
     ON CONFLICT (item_id) ${onConflict}
     RETURNING item_id`,
    [
      rows.map((row) => row.itemId),
      rows.map((row) => vectorText(row.vector)),
      rows.map((row) => row.trained),
      readAt,
    ],
  );
  /* eslint-enable no-restricted-syntax */
  return new Set(written.map((row) => row.item_id));
}

/**
 * Marks an item as removed; returns whether the version held it and had not yet marked it. The mark is of now, so
 * that who read the item before does not bring it back.
 */
export async function markRemoved(
  db: Queryable,
  version: string,
  itemId: string,
): Promise<boolean> {
  const { rowCount } = await db.query(
    `UPDATE ${itemVectorsTable(version)} SET removed = true, updated_at = clock_timestamp()
     WHERE item_id = $1 AND NOT removed`,
    [itemId],
  );
  return rowCount > 0;
}

/**
 * Marks what was deleted from the catalogue as removed. Not with the time of now: who read an item after it was
 * written again, and comes with its vector only now, brings it back.
 */
export async function takeOutDeleted(db: Database, version: string): Promise<void> {
  // Before the lock, which writers of items wait for; most times there is nothing.
  const { rows } = await db.transaction(
    (tx) =>
      tx.query<{ item_id: string }>(
        `SELECT t.item_id FROM deleted_items d JOIN ${itemVectorsTable(version)} t ON t.item_id = d.item_id
         WHERE NOT t.removed AND NOT EXISTS (SELECT 1 FROM items i WHERE i.item_id = t.item_id)`,
      ),
    { statementTimeoutMs: 0 },
  );
  if (rows.length === 0) return;
  await db.transaction(async (tx) => {
    // An item that is written again meanwhile is seen in the catalogue, or its vector comes after this.
    await lockVectors(tx, version);
    await tx.query(
      `UPDATE ${itemVectorsTable(version)} t SET removed = true
       FROM deleted_items d
       WHERE t.item_id = ANY($1) AND d.item_id = t.item_id AND NOT t.removed
         AND NOT EXISTS (SELECT 1 FROM items i WHERE i.item_id = t.item_id)`,
      [rows.map((row) => row.item_id)],
    );
  });
}

/**
 * Items removed in version `from` are removed in `to` too, unless the catalogue has them again: what processes
 * deleted that did not know of `deleted_items` yet, as while a new nestrec is rolled out.
 */
export async function carryRemovals(db: Queryable, from: string, to: string): Promise<void> {
  await db.query(
    `UPDATE ${itemVectorsTable(to)} t SET removed = true
     FROM ${itemVectorsTable(from)} f
     WHERE f.item_id = t.item_id AND f.removed AND NOT t.removed
       AND NOT EXISTS (SELECT 1 FROM items i WHERE i.item_id = t.item_id)`,
  );
}

export async function readTableFacts(db: Queryable, version: string): Promise<TableFacts> {
  const table = itemVectorsTable(version);
  const { rows } = await db.query<{ rows: bigint; trained: bigint; dim: number }>(
    `SELECT count(*) AS rows, count(*) FILTER (WHERE trained) AS trained,
       (SELECT atttypmod FROM pg_attribute
        WHERE attrelid = to_regclass($1) AND attname = 'embedding') AS dim
     FROM ${table}`,
    [table],
  );
  const { rows: count, trained, dim } = rows[0]!;
  return { rows: Number(count), trained: Number(trained), dim };
}

/** Whether the table has the norms of prefixes: those made before there were any have not. */
export async function hasNorms(db: Queryable, version: string): Promise<boolean> {
  const { rows } = await db.query(
    `SELECT 1 AS one FROM pg_attribute
     WHERE attrelid = to_regclass($1) AND attname = $2 AND NOT attisdropped`,
    [itemVectorsTable(version), NORMS_COLUMN],
  );
  return rows.length > 0;
}

export async function dropVectorTable(tx: Queryable, version: string): Promise<void> {
  await tx.query(`DROP TABLE IF EXISTS ${itemVectorsTable(version)}`);
}
