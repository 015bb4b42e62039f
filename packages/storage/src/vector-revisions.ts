/**
 * Which vectors of a version were replaced, and when, so that states that took in the old ones are known.
 * The version is the one that has the table: those that share it share its revisions too.
 *
 * A version's revision rises in the transaction that replaces vectors, under the lock of the version's row:
 * whoever reads revision r sees every replacement up to r. Read the revision first and vectors after it,
 * and a state made of them is at least as new as the revision says.
 */
import type { Queryable } from '@nestrec/database';

export interface PublishedVectors {
  readonly version: string;
  /** The version whose table holds the vectors. */
  readonly vectorsVersion: string;
  readonly revision: bigint;
}

/** The published version and the revision of its vectors; null where none is published. */
export async function getPublishedVectors(db: Queryable): Promise<PublishedVectors | null> {
  const { rows } = await db.query<{ version: string; vectors: string; revision: bigint }>(
    `SELECT v.version, o.version AS vectors, o.vectors_revision AS revision
     FROM published_model JOIN model_versions v USING (version)
     JOIN model_versions o ON o.version = coalesce(v.vectors_version, v.version)`,
  );
  const row = rows[0];
  return row === undefined
    ? null
    : { version: row.version, vectorsVersion: row.vectors, revision: row.revision };
}

/** The revision of a version's vectors; 0 for a version that is not known. */
export async function getVectorsRevision(db: Queryable, version: string): Promise<bigint> {
  const { rows } = await db.query<{ revision: bigint }>(
    'SELECT vectors_revision AS revision FROM model_versions WHERE version = $1',
    [version],
  );
  return rows[0]?.revision ?? 0n;
}

/** Items replaced after `revision`; null where these are more than `limit`, or the table was made anew. */
export async function itemsChangedSince(
  db: Queryable,
  version: string,
  revision: bigint,
  limit: number,
): Promise<string[] | null> {
  const { rows } = await db.query<{ anew: boolean; item_ids: string[] }>(
    `SELECT vectors_floor > $2 AS anew, ARRAY(
       SELECT item_id::text FROM item_vector_changes c
       WHERE c.version = v.version AND c.revision > $2 LIMIT $3) AS item_ids
     FROM model_versions v WHERE version = $1`,
    [version, revision, limit + 1],
  );
  const row = rows[0];
  return row === undefined || row.anew || row.item_ids.length > limit ? null : row.item_ids;
}

/** Makes whoever replaces vectors of the version wait, until the transaction ends. */
export async function lockVectors(tx: Queryable, version: string): Promise<void> {
  await tx.query('SELECT 1 FROM model_versions WHERE version = $1 FOR NO KEY UPDATE', [version]);
}

/**
 * Keeps vectors of the version from being replaced until the transaction ends, but not from being added: any
 * number of transactions may hold it at once.
 */
export async function lockVectorsShared(tx: Queryable, version: string): Promise<void> {
  await tx.query('SELECT 1 FROM model_versions WHERE version = $1 FOR SHARE', [version]);
}

/** Writes down that these vectors are replaced in this transaction, which holds `lockVectors`. */
export async function recordVectorChanges(
  tx: Queryable,
  version: string,
  itemIds: readonly string[],
): Promise<void> {
  if (itemIds.length === 0) return;
  await tx.query(
    `WITH raised AS (
       UPDATE model_versions SET vectors_revision = vectors_revision + 1 WHERE version = $1
       RETURNING version, vectors_revision
     )
     INSERT INTO item_vector_changes (version, item_id, revision)
     SELECT version, unnest($2::text[]), vectors_revision FROM raised
     ON CONFLICT (version, item_id) DO UPDATE SET revision = excluded.revision`,
    [version, itemIds],
  );
}

/** Forgets the changes, and puts every state of the version out of date: its vectors are others now. */
export async function restartVectorRevisions(tx: Queryable, version: string): Promise<void> {
  await tx.query(
    `UPDATE model_versions
     SET vectors_revision = vectors_revision + 1, vectors_floor = vectors_revision + 1
     WHERE version = $1`,
    [version],
  );
  await tx.query('DELETE FROM item_vector_changes WHERE version = $1', [version]);
}
