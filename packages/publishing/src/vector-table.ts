/**
 * A table of item vectors: made, filled, read for its checks, dropped. It has the name of one version, here
 * always the one that has it (`vectorsVersion`); others may share it.
 *
 * One row per item that the version can score. `trained` tells the model's own items from those that
 * came with the catalogue only; `removed` marks items deleted from the catalogue, whose vectors the
 * histories of users still need; `updated_at` is when the form of the item was written that the vector was made
 * of, so that other forms show (decision 0035).
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

/** Made of an item as the catalogue had it. */
export interface CatalogueVector extends VectorRow {
  /** When that form of the item was written: `StoredItem.writtenAt`. */
  readonly writtenAt: string;
}

export interface TableFacts {
  readonly rows: number;
  readonly trained: number;
  /** Coordinates of the embedding column. */
  readonly dim: number;
}

/** Placing rows in indexes takes time: whoever writes or deletes single items meanwhile waits for so many, not for all. */
export const ROWS_PER_TRANSACTION = 100;

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

/**
 * Adds the model's own items where they are not there; a row that is there was written by someone with newer data.
 * @param asOf a time before which they have everything that the catalogue was given
 */
export async function insertTrainedVectors(
  db: Queryable,
  version: string,
  rows: readonly VectorRow[],
  asOf: string,
): Promise<void> {
  await db.query(
    `INSERT INTO ${itemVectorsTable(version)} (item_id, embedding, trained, updated_at)
     SELECT item_id, embedding::vector, true, $3::timestamptz
     FROM unnest($1::text[], $2::text[]) t (item_id, embedding)
     ON CONFLICT (item_id) DO NOTHING`,
    [rows.map((row) => row.itemId), rows.map((row) => vectorText(row.vector)), asOf],
  );
}

/**
 * Adds the rows that are not there and returns the others, which `upsertVectors` is for. Several of these run
 * beside each other: what is new was in no state yet, so that only replacements need their turn.
 */
export async function addNewVectors(
  db: Database,
  version: string,
  rows: readonly CatalogueVector[],
): Promise<CatalogueVector[]> {
  const added = await db.transaction(async (tx) => {
    await lockVectorsShared(tx, version);
    return writeVectors(tx, version, rows, 'DO NOTHING');
  });
  return rows.filter((row) => !added.has(row.itemId));
}

/**
 * Adds or replaces rows; an item that was removed is back. A row made of a newer form of the item stays: of two
 * writers of one item the one that read the newer form wins, whoever writes last. What the catalogue has no more is
 * left out. A vector that becomes another one is written down, so that states that took in the old one are made
 * anew (decision 0020).
 */
export async function upsertVectors(
  db: Database,
  version: string,
  rows: readonly CatalogueVector[],
): Promise<void> {
  for (let at = 0; at < rows.length; at += ROWS_PER_TRANSACTION) {
    await upsertChunk(db, version, rows.slice(at, at + ROWS_PER_TRANSACTION));
  }
}

async function upsertChunk(
  db: Database,
  version: string,
  rows: readonly CatalogueVector[],
): Promise<void> {
  await db.transaction(async (tx) => {
    // Before the comparison: of two who write one item, the second has to see what the first wrote.
    await lockVectors(tx, version);
    const changed = await differingItems(tx, version, rows);
    const written = await writeVectors(
      tx,
      version,
      rows,
      `DO UPDATE SET embedding = excluded.embedding, trained = excluded.trained,
         removed = false, updated_at = excluded.updated_at`,
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

/**
 * Returns the ids of the rows that were written: those of items that the catalogue has, where the row is not of a
 * newer form. Which form is the newest the catalogue says; where it is not clear from there, the times do.
 *
 * The lock on the catalogue's rows makes who deletes one of them wait until the vector is there to be marked. It
 * holds up no other writer of items.
 */
async function writeVectors(
  tx: Queryable,
  version: string,
  rows: readonly CatalogueVector[],
  onConflict: string,
): Promise<Set<string>> {
  if (rows.length === 0) return new Set();
  /* eslint-disable no-restricted-syntax -- onConflict is one of the constants of this file */
  const { rows: written } = await tx.query<{ item_id: string }>(
    `WITH present AS (
       SELECT item_id, updated_at FROM items WHERE item_id = ANY($1) ORDER BY item_id FOR KEY SHARE)
     INSERT INTO ${itemVectorsTable(version)} (item_id, embedding, trained, updated_at)
     SELECT n.item_id, n.embedding::vector, n.trained, n.written_at
     FROM unnest($1::text[], $2::text[], $3::bool[], $4::text[]::timestamptz[])
       AS n (item_id, embedding, trained, written_at)
     JOIN present i ON i.item_id = n.item_id
     LEFT JOIN ${itemVectorsTable(version)} v ON v.item_id = n.item_id
     WHERE v.item_id IS NULL OR v.removed OR v.updated_at <= n.written_at OR i.updated_at = n.written_at
     ON CONFLICT (item_id) ${onConflict}
     RETURNING item_id`,
    [
      rows.map((row) => row.itemId),
      rows.map((row) => vectorText(row.vector)),
      rows.map((row) => row.trained),
      rows.map((row) => row.writtenAt),
    ],
  );
  /* eslint-enable no-restricted-syntax */
  return new Set(written.map((row) => row.item_id));
}

/**
 * Marks an item as removed that the catalogue has no more; returns whether the version held it and had not yet
 * marked it.
 */
export async function markRemoved(
  db: Queryable,
  version: string,
  itemId: string,
): Promise<boolean> {
  const { rowCount } = await db.query(
    `UPDATE ${itemVectorsTable(version)} SET removed = true
     WHERE item_id = $1 AND NOT removed AND NOT EXISTS (SELECT 1 FROM items WHERE item_id = $1)`,
    [itemId],
  );
  return rowCount > 0;
}

/** Marks what was deleted from the catalogue as removed, unless it is written again meanwhile. */
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
