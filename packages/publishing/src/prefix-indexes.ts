/**
 * The HNSW indexes on prefixes of the item vectors, one per dimension that a tier serves.
 *
 * An index on (subvector(embedding, 1, m)) holds only m coordinates, so a small tier reads little memory;
 * which is why sizes do not share one. Builds run without a statement limit: they take minutes.
 */
import { sqlState, type Database, type Queryable } from '@nestrec/database';
import { itemVectorsIndex, itemVectorsPrefix, itemVectorsTable } from '@nestrec/storage';

/** pgvector's limit for HNSW on `vector`; greater sizes are served by the exact scan. */
export const MAX_INDEXED_DIM = 2_000;

export interface BuildSettings {
  /** Neighbours per node and layer. */
  readonly m: number;
  /** Candidates looked at when a node is placed. */
  readonly efConstruction: number;
}

/** The second is for vectors on which the first finds too little: slower to build, better connected. */
export const BUILD_LADDER: readonly BuildSettings[] = [
  { m: 16, efConstruction: 100 },
  { m: 32, efConstruction: 300 },
];

/** The nested sizes that serve `maxDims` (tier limits; null = no limit), ascending. */
export function indexedDims(
  sizes: readonly number[],
  maxDims: readonly (number | null)[],
): number[] {
  const dims = maxDims.map((limit) => sizes.findLast((size) => limit === null || size <= limit));
  const unique = new Set(dims.filter((dim) => dim !== undefined && dim <= MAX_INDEXED_DIM));
  return [...unique].filter((dim) => dim !== undefined).sort((a, b) => a - b);
}

/** Builds the index of one dimension; `replace` also where there is one. */
export async function buildPrefixIndex(
  db: Database,
  version: string,
  dim: number,
  fullDim: number,
  settings: BuildSettings,
  replace = false,
): Promise<void> {
  const index = itemVectorsIndex(version, dim);
  const statements = [
    ...(db.kind === 'postgres' ? [`SET LOCAL maintenance_work_mem = '256MB'`] : []),
    ...(replace ? [`DROP INDEX IF EXISTS ${index}`] : []),
    `CREATE INDEX IF NOT EXISTS ${index} ON ${itemVectorsTable(version)}
       USING hnsw (${itemVectorsPrefix(dim, fullDim, '')} vector_ip_ops)
       WITH (m = ${settings.m}, ef_construction = ${settings.efConstruction})`,
  ];
  try {
    await runUnlimited(db, statements);
  } catch (error) {
    // Parallel builds need as much shared memory; containers often have 64 MB of it.
    if (db.kind !== 'postgres' || !sqlState(error)?.startsWith(OUT_OF_RESOURCES)) throw error;
    await runUnlimited(db, ['SET LOCAL max_parallel_maintenance_workers = 0', ...statements]);
  }
}

const OUT_OF_RESOURCES = '53';

async function runUnlimited(db: Database, statements: readonly string[]): Promise<void> {
  await db.transaction(
    async (tx) => {
      for (const statement of statements) await tx.query(statement);
    },
    { statementTimeoutMs: 0 },
  );
}

/** Bytes of an index on disk. */
export async function indexBytes(db: Queryable, version: string, dim: number): Promise<number> {
  const { rows } = await db.query<{ bytes: bigint }>(
    'SELECT pg_relation_size(to_regclass($1)) AS bytes',
    [itemVectorsIndex(version, dim)],
  );
  return Number(rows[0]!.bytes);
}
