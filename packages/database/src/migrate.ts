/**
 * The schema, only by numbered SQL files (`migrations/NNNN_name.sql`), one transaction each. The number is
 * claimed first, so of many processes that migrate at once one does the work and the rest wait; a
 * file that changed after it was applied is refused, and so is a schema from a newer nestrec.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { InputNotFound, MigrationConflict } from '@nestrec/errors';
import { sqlState } from './errors.js';
import type { Database, Queryable } from './types.js';

const FILE_NAME = /^(\d{4})_[a-z0-9_]+\.sql$/;
/** Any fixed number; every nestrec process locks the same one. */
const ADVISORY_LOCK = 7_306_083;
const LOCK_WAIT_MS = 120_000;
/**
 * One try of a migration waits so long for a table in use, since all who come after wait behind it; they give up
 * after 2 s. Between two tries they pass.
 */
const TABLE_LOCK_WAIT_MS = 500;
const BETWEEN_TRIES_MS = 1_000;
const LOCK_NOT_AVAILABLE = '55P03';

export interface Migration {
  readonly number: number;
  readonly name: string;
  readonly sql: string;
  /** SHA-256 of the file with LF line ends. */
  readonly checksum: string;
}

interface Applied extends Record<string, unknown> {
  number: number;
  name: string;
  checksum: string;
}

/** `migrations/` of the repository, from src/ and from dist/ alike. */
export function migrationsFolder(): string {
  return fileURLToPath(new URL('../../../migrations/', import.meta.url));
}

/** Reads the migrations of a folder, in order, with numbers 1, 2, 3, ... */
export async function readMigrations(folder: string): Promise<Migration[]> {
  const names = await readdir(folder).catch((cause: unknown) => {
    throw new InputNotFound({ detail: `the folder of migrations ${folder} cannot be read`, cause });
  });
  const files = names.filter((name) => FILE_NAME.test(name)).sort();
  return Promise.all(
    files.map(async (name, index) => {
      const number = Number(FILE_NAME.exec(name)![1]);
      if (number !== index + 1) {
        throw new MigrationConflict({
          detail: `${name}: got number ${number}, wanted ${index + 1}; numbers run without gaps or repeats`,
        });
      }
      const sql = (await readFile(`${folder}/${name}`, 'utf8')).replaceAll('\r\n', '\n');
      return { number, name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
    }),
  );
}

/**
 * Brings the schema to the newest migration of `folder`; returns the names applied now.
 * @throws MigrationConflict (edited file, newer schema), DatabaseUnavailable
 */
export async function migrate(db: Database, folder = migrationsFolder()): Promise<string[]> {
  const migrations = await readMigrations(folder);
  const done: string[] = [];
  for (const migration of await pending(db, migrations)) {
    if (await applyPatiently(db, migration)) done.push(migration.name);
  }
  return done;
}

/** Compares what is applied with the files; returns those that are not. */
async function pending(db: Database, migrations: Migration[]): Promise<Migration[]> {
  const applied = await readApplied(db);
  const byNumber = new Map(migrations.map((migration) => [migration.number, migration]));
  const newest = migrations.at(-1)?.number ?? 0;
  for (const row of applied) {
    const file = byNumber.get(row.number);
    if (!file) {
      throw new MigrationConflict({
        detail: `the database has migration ${row.name}, this nestrec knows none after ${newest}; start the newer nestrec that made it`,
      });
    }
    if (file.checksum !== row.checksum) {
      throw new MigrationConflict({
        detail: `${file.name} was edited after it was applied (checksum ${file.checksum.slice(0, 12)}, applied ${row.checksum.slice(0, 12)}); restore it and add a new migration instead`,
      });
    }
  }
  const numbers = new Set(applied.map((row) => row.number));
  return migrations.filter((migration) => !numbers.has(migration.number));
}

async function readApplied(db: Queryable): Promise<Applied[]> {
  const { rows } = await db.query<{ present: boolean }>(
    `SELECT to_regclass('nestrec_migrations') IS NOT NULL AS present`,
  );
  if (!rows[0]?.present) return [];
  return (
    await db.query<Applied>('SELECT number, name, checksum FROM nestrec_migrations ORDER BY number')
  ).rows;
}

/** Tries again while others use the tables: a training reads them for minutes in one transaction. */
async function applyPatiently(db: Database, migration: Migration): Promise<boolean> {
  const giveUpAtMs = performance.now() + LOCK_WAIT_MS;
  for (;;) {
    try {
      return await apply(db, migration);
    } catch (error) {
      if (sqlState(error) !== LOCK_NOT_AVAILABLE || performance.now() > giveUpAtMs) throw error;
    }
    await sleep(BETWEEN_TRIES_MS);
  }
}

/** Applies one migration; false when another process had done so. */
function apply(db: Database, migration: Migration): Promise<boolean> {
  return db.transaction(
    async (tx) => {
      await tx.execute(`SET LOCAL lock_timeout = ${LOCK_WAIT_MS}`);
      await tx.query('SELECT pg_advisory_xact_lock($1)', [ADVISORY_LOCK]);
      await tx.execute(`
        CREATE TABLE IF NOT EXISTS nestrec_migrations (
          number integer PRIMARY KEY,
          name text NOT NULL,
          checksum text NOT NULL,
          applied_at timestamptz NOT NULL DEFAULT now()
        )`);
      const claimed = await tx.query(
        `INSERT INTO nestrec_migrations (number, name, checksum) VALUES ($1, $2, $3)
         ON CONFLICT (number) DO NOTHING`,
        [migration.number, migration.name, migration.checksum],
      );
      if (claimed.rowCount === 0) return false;
      await tx.execute(`SET LOCAL lock_timeout = ${TABLE_LOCK_WAIT_MS}`);
      await tx.execute(migration.sql);
      return true;
    },
    { statementTimeoutMs: 0 },
  );
}
