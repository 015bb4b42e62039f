/**
 * Names of the tables of item vectors. A table's name cannot be a SQL parameter, so it is made here only,
 * from a version that has been checked.
 *
 * Versions with a bit-equal item side share a table (decision 0029). Wherever a table, an index or a revision
 * of vectors is named, the version is the one that has them: `vectorsVersion` of a model version, or what
 * `vectorsVersionOf` says.
 */
import type { Queryable } from '@nestrec/database';
import { excerpt, InvalidParameter } from '@nestrec/errors';

const VERSION = /^[a-z0-9][a-z0-9_]{0,47}$/;
const PREFIX = 'item_vectors_';

/** @throws InvalidParameter unless `version` has the form that manifests prescribe */
export function assertVersion(version: string): void {
  if (!VERSION.test(version)) {
    throw new InvalidParameter({
      detail: `version: got ${excerpt(version)}, wanted 1 to 48 of a-z, 0-9 and _, not beginning with _`,
    });
  }
}

/** The quoted name of the table that a version has, safe to put into SQL text. */
export function itemVectorsTable(vectorsVersion: string): string {
  assertVersion(vectorsVersion);
  return `"${PREFIX}${vectorsVersion}"`;
}

/** Whose table holds the vectors of `version`: its own, or the one that it shares. */
export async function vectorsVersionOf(db: Queryable, version: string): Promise<string> {
  assertVersion(version);
  const { rows } = await db.query<{ vectors_version: string }>(
    `SELECT coalesce(vectors_version, version) AS vectors_version
     FROM model_versions WHERE version = $1`,
    [version],
  );
  return rows[0]?.vectors_version ?? version;
}

/** The quoted name of the index on the first `dim` coordinates. */
export function itemVectorsIndex(vectorsVersion: string, dim: number): string {
  assertVersion(vectorsVersion);
  if (!Number.isInteger(dim) || dim < 1) {
    throw new InvalidParameter({ detail: `dim: got ${excerpt(dim)}, wanted a positive integer` });
  }
  return `"iv_${vectorsVersion}_${dim}"`;
}

/**
 * The first `dim` of an embedding's `fullDim` coordinates as an expression, over the table's alias `v` or
 * without one. The index is made on it and every search is written with it: spelt differently, no index
 * would be used.
 */
export function itemVectorsPrefix(dim: number, fullDim: number, alias: 'v' | '' = 'v'): string {
  if (!Number.isInteger(dim) || dim < 1 || dim > fullDim) {
    throw new InvalidParameter({
      detail: `dim: got ${excerpt(dim)}, wanted an integer from 1 to ${fullDim}`,
    });
  }
  const column = alias === '' ? 'embedding' : `${alias}.embedding`;
  return dim === fullDim ? `(${column})` : `(subvector(${column}, 1, ${dim})::vector(${dim}))`;
}

/** Versions that have a table, known to `model_versions` or not. */
export async function listItemVectorTables(db: Queryable): Promise<string[]> {
  const { rows } = await db.query<{ version: string }>(
    `SELECT substr(c.relname, length($1) + 1) AS version FROM pg_class c
     WHERE c.relkind = 'r' AND c.relnamespace = to_regnamespace(current_schema())
       AND starts_with(c.relname, $1) ORDER BY c.relname`,
    [PREFIX],
  );
  return rows.map((row) => row.version).filter((version) => VERSION.test(version));
}
