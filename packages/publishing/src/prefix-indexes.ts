/**
 * The HNSW indexes on prefixes of the item vectors, and which of them a tier's plan needs.
 *
 * An index on (subvector(embedding, 1, m)) holds only m coordinates, so a small tier reads little memory;
 * which is why sizes do not share one. Builds run without a statement limit: they take minutes. Whoever
 * writes items meanwhile must not wait for that, so PostgreSQL builds concurrently where a table is live.
 */
import { sqlState, type Database, type Queryable } from '@nestrec/database';
import type { Tier, TierPlan } from '@nestrec/contracts';
import {
  indexName,
  indexSql,
  itemVectorsTable,
  type IndexForm,
  type StoredIndex,
} from '@nestrec/storage';

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

/**
 * What of a tier decides how it is served: its limit of dimensions (null = no limit), its plan, and the exit that it asks
 * for. The exit changes queries alone, so indexes know nothing of it.
 */
export type TierNeed = Readonly<
  Pick<Tier, 'max_dim' | 'plan'> & Partial<Pick<Tier, 'exit_blocks'>>
>;

/** A size that is served, and how. */
export interface ServedSize {
  readonly dim: number;
  readonly plan: TierPlan;
}

/** The sizes that serve the tiers, with the plans they are wanted by; ascending, each once. */
export function servedSizes(sizes: readonly number[], needs: readonly TierNeed[]): ServedSize[] {
  const served = new Map<string, ServedSize>();
  for (const { max_dim, plan } of needs) {
    const dim = sizes.findLast((size) => max_dim === null || size <= max_dim);
    if (dim !== undefined) served.set(`${dim} ${plan}`, { dim, plan });
  }
  return [...served.values()].sort((a, b) => a.dim - b.dim || a.plan.localeCompare(b.plan));
}

export interface BuildOptions {
  /** Also where there is one. */
  readonly replace?: boolean;
  /** Whether items are written to the table meanwhile: slower, but nobody waits. PostgreSQL only. */
  readonly live?: boolean;
}

/** Builds an index; tells what stands then. */
export async function buildIndex(
  db: Database,
  version: string,
  form: IndexForm,
  fullDim: number,
  settings: BuildSettings,
  { replace = false, live = false }: BuildOptions = {},
): Promise<StoredIndex> {
  const name = indexName(version, form);
  const { expression, operatorClass } = indexSql(form, fullDim);
  const concurrently = live && db.kind === 'postgres';
  const create = `CREATE INDEX ${concurrently ? 'CONCURRENTLY ' : ''}IF NOT EXISTS "${name}"
     ON ${itemVectorsTable(version)} USING hnsw (${expression('')} ${operatorClass})
     WITH (m = ${settings.m}, ef_construction = ${settings.efConstruction})`;
  const run = async (prepare: readonly string[]) => {
    if (!concurrently) {
      const drop = replace ? [`DROP INDEX IF EXISTS "${name}"`] : [];
      return runUnlimited(db, [...prepare, ...drop, create]);
    }
    // One that a dead build left would be taken for the index.
    if (replace || (await isInvalid(db, name))) await dropIndex(db, name);
    return db.unlimited([...prepare, create]);
  };
  const memory = db.kind === 'postgres' ? [enoughBuildMemory(!concurrently)] : [];
  const startedMs = performance.now();
  try {
    await run(memory);
  } catch (error) {
    // Parallel builds need as much shared memory; containers often have 64 MB of it.
    if (db.kind !== 'postgres' || !sqlState(error)?.startsWith(OUT_OF_RESOURCES)) throw error;
    const alone = `SET ${concurrently ? '' : 'LOCAL '}max_parallel_maintenance_workers = 0`;
    await run([alone, ...memory]);
  }
  const buildMs = Math.round(performance.now() - startedMs);
  return { ...form, ...settings, name, bytes: await indexBytes(db, name), buildMs };
}

/** At least 256 MB; an operator who gave more keeps it: a graph that does not fit is built many times slower. */
const enoughBuildMemory = (
  local: boolean,
) => `SELECT set_config('maintenance_work_mem', '256MB', ${local})
  WHERE pg_size_bytes(current_setting('maintenance_work_mem')) < pg_size_bytes('256MB')`;

const OUT_OF_RESOURCES = '53';

async function runUnlimited(db: Database, statements: readonly string[]): Promise<void> {
  await db.transaction(
    async (tx) => {
      for (const statement of statements) await tx.query(statement);
    },
    { statementTimeoutMs: 0 },
  );
}

/** Waits that long for those who use the table, and leaves them alone then. */
const DROP_WAITS_MS = 60_000;

/** Takes an index away that is of no use; on PostgreSQL nobody waits for that. */
export async function dropIndex(db: Database, name: string): Promise<void> {
  await db.unlimited(
    db.kind === 'postgres'
      ? [`SET lock_timeout = ${DROP_WAITS_MS}`, `DROP INDEX CONCURRENTLY IF EXISTS "${name}"`]
      : [`DROP INDEX IF EXISTS "${name}"`],
  );
}

/** Whether there is such an index that cannot be searched: its build died, or is at work still. */
async function isInvalid(db: Queryable, name: string): Promise<boolean> {
  const { rows } = await db.query(
    'SELECT 1 AS one FROM pg_index WHERE indexrelid = to_regclass($1) AND NOT indisvalid',
    [`"${name}"`],
  );
  return rows.length > 0;
}

/** Bytes of an index on disk. */
async function indexBytes(db: Queryable, name: string): Promise<number> {
  const { rows } = await db.query<{ bytes: bigint }>(
    'SELECT pg_relation_size(to_regclass($1)) AS bytes',
    [`"${name}"`],
  );
  return Number(rows[0]!.bytes);
}
