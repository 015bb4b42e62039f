/**
 * Model versions and the pointer to the published one. The pointer moves in one statement that also
 * compares what it replaces, so a publisher that was frozen meanwhile cannot overwrite a newer one.
 */
import type { Manifest } from '@nestrec/contracts';
import { json, type Queryable } from '@nestrec/database';
import { assertVersion, itemVectorsTable } from './item-vectors.js';
import {
  factsOfRow,
  type MeasuredPlan,
  type RetrievalFacts,
  type StoredIndex,
} from './vector-search/retrieval-facts.js';

export type VersionStatus = 'candidate' | 'published' | 'retired';

export interface ModelVersion {
  readonly version: string;
  readonly status: VersionStatus;
  readonly manifest: Manifest;
  /** Folder of the artifact. */
  readonly path: string;
  /** The version whose table holds the item vectors: this one, or one with a bit-equal item side. */
  readonly vectorsVersion: string;
  /** Dimensions that have an index in that table. */
  readonly indexDims: readonly number[];
  /** The indexes of the version's vector table. */
  readonly indexes: readonly StoredIndex[];
  /** How each served size is searched, as measured when it was published. */
  readonly plans: readonly MeasuredPlan[];
  /** Whether the table has the norms that plan `bound` needs. */
  readonly norms: boolean;
  /** Differs where what is known of the table's indexes and plans does. */
  readonly factsDigest: string;
  readonly createdAtMs: number;
}

export interface PublishedPointer {
  readonly version: string;
  readonly previousVersion: string | null;
  readonly publishedAtMs: number;
}

interface VersionRow extends Record<string, unknown> {
  version: string;
  status: VersionStatus;
  manifest: Manifest;
  path: string;
  vectors_version: string;
  index_dims: number[];
  retrieval: RetrievalFacts | null;
  facts_digest: string;
  created_at: Date;
}

interface PointerRow extends Record<string, unknown> {
  version: string;
  previous_version: string | null;
  published_at: Date;
}

const toVersion = (row: VersionRow): ModelVersion => ({
  version: row.version,
  status: row.status,
  manifest: row.manifest,
  path: row.path,
  vectorsVersion: row.vectors_version,
  ...factsOfRow(row.vectors_version, row.retrieval, row.index_dims),
  factsDigest: row.facts_digest,
  createdAtMs: row.created_at.getTime(),
});

const toPointer = (row: PointerRow): PublishedPointer => ({
  version: row.version,
  previousVersion: row.previous_version,
  publishedAtMs: row.published_at.getTime(),
});

const FACTS_DIGEST = 'md5(concat(coalesce(v.retrieval, o.retrieval)::text, o.index_dims::text))';
const WITH_OWNER = 'JOIN model_versions o ON o.version = coalesce(v.vectors_version, v.version)';
const SELECT_VERSIONS = `SELECT v.version, v.status, v.manifest, v.path, v.created_at,
    o.version AS vectors_version, o.index_dims,
     coalesce(v.retrieval, o.retrieval) AS retrieval, ${FACTS_DIGEST} AS facts_digest
  FROM model_versions v ${WITH_OWNER}`;

/** Registers a candidate. A version that is known keeps its status; its manifest and path are renewed. */
export async function registerVersion(
  db: Queryable,
  draft: { version: string; manifest: Manifest; path: string },
): Promise<void> {
  assertVersion(draft.version);
  await db.query(
    `INSERT INTO model_versions (version, status, manifest, path) VALUES ($1, 'candidate', $2, $3)
     ON CONFLICT (version) DO UPDATE SET manifest = excluded.manifest, path = excluded.path`,
    [draft.version, json(draft.manifest), draft.path],
  );
}

/** Lets a version that was never served use the vectors of another one, which has a table of its own. */
export async function shareVectors(
  db: Queryable,
  version: string,
  vectorsVersion: string,
): Promise<void> {
  await db.query('UPDATE model_versions SET vectors_version = $2 WHERE version = $1', [
    version,
    vectorsVersion,
  ]);
}

/**
 * Gives a version vectors of its own again, where those that it shared are gone. Its states counted the
 * other's revisions: all of them are out of date from now on.
 */
export async function unshareVectors(db: Queryable, version: string): Promise<void> {
  await db.query(
    `UPDATE model_versions v SET vectors_version = NULL,
       vectors_revision = greatest(v.vectors_revision, o.vectors_revision) + 1,
       vectors_floor = greatest(v.vectors_revision, o.vectors_revision) + 1
     FROM model_versions o WHERE v.version = $1 AND o.version = v.vectors_version`,
    [version],
  );
}

export async function getVersion(db: Queryable, version: string): Promise<ModelVersion | null> {
  const { rows } = await db.query<VersionRow>(`${SELECT_VERSIONS} WHERE v.version = $1`, [version]);
  return rows[0] ? toVersion(rows[0]) : null;
}

/** Newest first. */
export async function listVersions(db: Queryable): Promise<ModelVersion[]> {
  const { rows } = await db.query<VersionRow>(
    `${SELECT_VERSIONS} ORDER BY v.created_at DESC, v.version DESC`,
  );
  return rows.map(toVersion);
}

export async function getPublished(db: Queryable): Promise<PublishedPointer | null> {
  const { rows } = await db.query<PointerRow>(
    'SELECT version, previous_version, published_at FROM published_model',
  );
  return rows[0] ? toPointer(rows[0]) : null;
}

/** What is served: the published version, with what is known of its indexes and plans. */
export async function getServed(
  db: Queryable,
): Promise<Pick<ModelVersion, 'version' | 'factsDigest'> | null> {
  const { rows } = await db.query<{ version: string; facts_digest: string }>(
    `SELECT p.version, ${FACTS_DIGEST} AS facts_digest
     FROM published_model p JOIN model_versions v ON v.version = p.version ${WITH_OWNER}`,
  );
  return rows[0] ? { version: rows[0].version, factsDigest: rows[0].facts_digest } : null;
}

/** Whoever follows the pointer listens here; the message is the version that it points to. */
export const PUBLISHED_CHANNEL = 'nestrec_published';

/**
 * Points to `version` if the pointer still stands at `expected` (null: nothing published), and updates the
 * statuses of both, all in one statement. Those who listen to `PUBLISHED_CHANNEL` hear it at the commit.
 * @returns the new pointer, or null when the pointer stood elsewhere (nothing changed)
 */
export async function swapPublished(
  db: Queryable,
  version: string,
  expected: string | null,
): Promise<PublishedPointer | null> {
  const { rows } = await db.query<PointerRow>(
    `WITH moved AS (
       INSERT INTO published_model (version, previous_version)
       SELECT $1::text, $2::text
       WHERE $2::text IS NULL OR EXISTS (SELECT 1 FROM published_model WHERE version = $2)
       ON CONFLICT (singleton) DO UPDATE SET
         version = excluded.version, previous_version = published_model.version,
         published_at = clock_timestamp()
       WHERE published_model.version IS NOT DISTINCT FROM $2
       RETURNING version, previous_version, published_at
     ), marked AS (
       UPDATE model_versions v
       SET status = CASE WHEN v.version = moved.version THEN 'published' ELSE 'retired' END
       FROM moved WHERE v.version IN (moved.version, moved.previous_version)
     )
     SELECT version, previous_version, published_at, pg_notify('${PUBLISHED_CHANNEL}', version)
     FROM moved`,
    [version, expected],
  );
  return rows[0] ? toPointer(rows[0]) : null;
}

/** Lets those who follow the pointer look again: it stands where it stood, but its indexes changed. */
export async function announceServed(db: Queryable): Promise<void> {
  await db.query(`SELECT pg_notify('${PUBLISHED_CHANNEL}', version) FROM published_model`);
}

/**
 * Forgets a version and drops its vectors, unless the pointer or its predecessor still needs it, or another
 * version shares them.
 * Run it in a transaction: both or neither.
 * @returns whether it was removed
 */
export async function removeVersion(tx: Queryable, version: string): Promise<boolean> {
  const table = itemVectorsTable(version);
  const { rowCount } = await tx.query(
    `DELETE FROM model_versions v WHERE v.version = $1 AND NOT EXISTS (
       SELECT 1 FROM published_model p WHERE $1 IN (p.version, p.previous_version))
       AND NOT EXISTS (SELECT 1 FROM model_versions s WHERE s.vectors_version = $1)`,
    [version],
  );
  if (rowCount === 0) return false;
  await tx.execute(`DROP TABLE IF EXISTS ${table}`);
  return true;
}
