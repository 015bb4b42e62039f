/**
 * Names of the tables of item vectors, one per model version. A table's name cannot be a SQL parameter, so
 * it is made here only, from a version that has been checked.
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

/** The quoted name of a version's table, safe to put into SQL text. */
export function itemVectorsTable(version: string): string {
  assertVersion(version);
  return `"${PREFIX}${version}"`;
}

/** The quoted name of the index on the first `dim` coordinates. */
export function itemVectorsIndex(version: string, dim: number): string {
  assertVersion(version);
  if (!Number.isInteger(dim) || dim < 1) {
    throw new InvalidParameter({ detail: `dim: got ${excerpt(dim)}, wanted a positive integer` });
  }
  return `"iv_${version}_${dim}"`;
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
