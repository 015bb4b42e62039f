/**
 * Databases for tests: migrated, empty, one per test file and kind. `describeDatabases` runs one suite on
 * PGlite and on PostgreSQL; that is how the two are held equal.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  migrate,
  openPglite,
  openPostgres,
  readMigrations,
  migrationsFolder,
  type Database,
  type PostgresOptions,
} from '@nestrec/database';
import { writeFolderAtomic } from '@nestrec/runtime';
import { afterAll, beforeAll, describe, inject } from 'vitest';
import { servicesCache } from './postgres-binaries.js';
import { createDatabase, type CreatedDatabase } from './postgres-template.js';

export interface TestDatabase {
  readonly db: Database;
  /** Closes and removes it. */
  dispose(): Promise<void>;
}

const versionOf = (name: string) =>
  (
    JSON.parse(
      readFileSync(new URL(`../../node_modules/${name}/package.json`, import.meta.url), 'utf8'),
    ) as { version: string }
  ).version;

/** A migrated PGlite folder to copy: creating one takes seconds, copying it a fraction. */
async function pgliteTemplate(): Promise<string> {
  const migrations = await readMigrations(migrationsFolder());
  const key = createHash('sha256')
    .update(versionOf('@electric-sql/pglite'))
    .update(versionOf('@electric-sql/pglite-pgvector'))
    .update(migrations.map((migration) => migration.checksum).join())
    .digest('hex')
    .slice(0, 16);
  const target = join(servicesCache, `pglite-${key}`);
  if (existsSync(target)) return join(target, 'data');
  await mkdir(servicesCache, { recursive: true });
  await writeFolderAtomic(target, async (folder) => {
    const db = await openPglite({ dataDir: join(folder, 'data') });
    await migrate(db).finally(() => db.close());
  }).catch((error: unknown) => {
    // Another test file made it at the same time.
    if (!existsSync(target)) throw error;
  });
  return join(target, 'data');
}

/** A copy of the migrated data folder that no process has open; for tests that kill processes. */
export async function copyPgliteTemplate(): Promise<{
  dataDir: string;
  dispose(): Promise<void>;
}> {
  const folder = await mkdtemp(join(tmpdir(), 'nestrec-pglite-'));
  const dataDir = join(folder, 'data');
  await cp(await pgliteTemplate(), dataDir, { recursive: true });
  return { dataDir, dispose: () => rm(folder, { recursive: true, force: true }) };
}

/** A migrated, empty embedded database on disk. */
export async function openTestPglite(): Promise<TestDatabase> {
  const { dataDir, dispose } = await copyPgliteTemplate();
  const db = await openPglite({ dataDir });
  return {
    db,
    dispose: async () => {
      await db.close();
      await dispose();
    },
  };
}

/** Why there is no PostgreSQL, or null when there is one. */
export function postgresMissing(): string | null {
  const { url, reason } = inject('postgres');
  return url === null ? reason : null;
}

/** A migrated, empty database of the shared server, without a connection. */
export async function createTestPostgres(): Promise<CreatedDatabase> {
  const { url, template, reason } = inject('postgres');
  if (url === null) throw new Error(reason);
  return createDatabase(url, template);
}

export async function openTestPostgres(
  options: Omit<PostgresOptions, 'url'> = {},
): Promise<TestDatabase> {
  const created = await createTestPostgres();
  const db = await openPostgres({
    url: created.url,
    max: 6,
    allowUnsafeDurability: true,
    ...options,
  });
  return {
    db,
    dispose: async () => {
      await db.close();
      await created.drop();
    },
  };
}

export interface DatabaseEntry {
  readonly name: 'PGlite' | 'PostgreSQL';
  /** Why it cannot be tested here, or null. */
  readonly missing: string | null;
  open(): Promise<TestDatabase>;
}

export function databaseEntries(): DatabaseEntry[] {
  return [
    { name: 'PGlite', missing: null, open: openTestPglite },
    { name: 'PostgreSQL', missing: postgresMissing(), open: () => openTestPostgres() },
  ];
}

/**
 * Runs `suite` once per kind of database; `database()` gives the file's own database inside tests and
 * hooks. A kind that is missing is skipped with its reason in the title.
 */
export function describeDatabases(title: string, suite: (database: () => Database) => void): void {
  for (const entry of databaseEntries()) {
    const label = `${title} on ${entry.name}${entry.missing === null ? '' : ` (${entry.missing})`}`;
    describe.skipIf(entry.missing !== null)(label, () => {
      let opened: TestDatabase | undefined;
      beforeAll(async () => {
        opened = await entry.open();
      });
      afterAll(() => opened?.dispose());
      suite(() => {
        if (opened === undefined)
          throw new Error('the database is open inside tests and hooks only');
        return opened.db;
      });
    });
  }
}
