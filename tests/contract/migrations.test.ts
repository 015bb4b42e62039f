/** Migrations: twice, many at once, edited, newer, failing; the same on both databases. */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  migrate,
  migrationsFolder,
  openPglite,
  openPostgres,
  readMigrations,
  type Database,
} from '@nestrec/database';
import { MigrationConflict } from '@nestrec/errors';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { describeDatabases, postgresMissing } from '../helpers/databases.js';
import { deferred } from '../helpers/deferred.js';
import { createDatabase } from '../helpers/postgres-template.js';
import { dumpSchema } from '../helpers/schema-dump.js';
import { waitFor } from '../helpers/wait-for.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nestrec-migrations-'));
  await cp(migrationsFolder(), folder, { recursive: true });
});
afterEach(() => rm(folder, { recursive: true }));

describeDatabases('migrations', (database) => {
  const next = async () => (await readMigrations(migrationsFolder())).length + 1;
  const file = async (number: number, name: string, sql: string) => {
    const path = join(folder, `${String(number).padStart(4, '0')}_${name}.sql`);
    await writeFile(path, sql);
    return path;
  };
  afterEach(async () => {
    const known = (await readMigrations(migrationsFolder())).length;
    await database().query('DELETE FROM nestrec_migrations WHERE number > $1', [known]);
    await database().execute('DROP TABLE IF EXISTS added, never');
  });

  it('do nothing the second time', async () => {
    expect(await migrate(database())).toEqual([]);
  });

  it('apply what is new, once, however many processes start together', async () => {
    const number = await next();
    await file(number, 'add', 'CREATE TABLE added (i int); INSERT INTO added VALUES (1)');
    const done = await Promise.all(Array.from({ length: 20 }, () => migrate(database(), folder)));
    expect(done.flat()).toHaveLength(1);
    expect((await database().query('SELECT i FROM added')).rowCount).toBe(1);
  });

  it('leave nothing behind when one fails, and go on once it is corrected', async () => {
    const number = await next();
    await file(number, 'bad', 'CREATE TABLE never (i int); SELECT 1 / 0');
    await expect(migrate(database(), folder)).rejects.toThrow();
    expect((await database().query(`SELECT to_regclass('never') AS t`)).rows).toEqual([
      { t: null },
    ]);
    await file(number, 'bad', 'CREATE TABLE added (i int)');
    expect(await migrate(database(), folder)).toHaveLength(1);
  });

  it('refuse a file that was edited after it was applied', async () => {
    const path = await file(await next(), 'add', 'CREATE TABLE added (i int)');
    await migrate(database(), folder);
    await writeFile(path, 'CREATE TABLE added (i bigint)');
    await expect(migrate(database(), folder)).rejects.toMatchObject({
      code: MigrationConflict.code,
      detail: expect.stringMatching(/was edited after it was applied.*add a new migration/),
    });
  });

  it('do not mind other line ends', async () => {
    const path = await file(await next(), 'add', 'CREATE TABLE added (\n i int)\n');
    await migrate(database(), folder);
    await writeFile(path, 'CREATE TABLE added (\r\n i int)\r\n');
    expect(await migrate(database(), folder)).toEqual([]);
  });

  it('refuse a schema from a newer nestrec', async () => {
    await file(await next(), 'future', 'CREATE TABLE added (i int)');
    await migrate(database(), folder);
    await expect(migrate(database())).rejects.toMatchObject({
      code: MigrationConflict.code,
      detail: expect.stringMatching(/future.*start the newer nestrec/),
    });
  });

  it('refuse numbers with a gap or a repeat', async () => {
    await file((await next()) + 1, 'gap', 'SELECT 1');
    await expect(migrate(database(), folder)).rejects.toMatchObject({
      code: MigrationConflict.code,
    });
  });

  it('mark as deleted what the versions that stand had removed, but not what was written since', async () => {
    const db = database();
    const migration = (await readMigrations(migrationsFolder())).find(({ name }) =>
      name.includes('deleted_items'),
    )!;
    await db.execute(`
      DROP TABLE deleted_items;
      CREATE TABLE item_vectors_a (item_id entity_id PRIMARY KEY, removed boolean NOT NULL);
      CREATE TABLE item_vectors_b (LIKE item_vectors_a);
      INSERT INTO item_vectors_a VALUES ('gone', true), ('shown', false);
      INSERT INTO item_vectors_b VALUES ('gone', true), ('gone too', true), ('back', true);
      INSERT INTO items (item_id) VALUES ('back')`);
    await db.execute(migration.sql);
    const { rows } = await db.query('SELECT item_id FROM deleted_items ORDER BY item_id');
    expect(rows).toEqual([{ item_id: 'gone' }, { item_id: 'gone too' }]);
    await db.execute(
      'DROP TABLE item_vectors_a, item_vectors_b; TRUNCATE items, deleted_items CASCADE',
    );
  });

  it('make the schema that migrations/schema.sql shows', async () => {
    const committed = await readFile(join(migrationsFolder(), 'schema.sql'), 'utf8');
    expect(await dumpSchema(database())).toBe(committed);
  });
});

describe.skipIf(postgresMissing() !== null)('migrations of an empty PostgreSQL database', () => {
  it('run once when 20 processes with a pool each start together', async () => {
    const created = await createDatabase(inject('postgres').url!);
    const pools: Database[] = await Promise.all(
      Array.from({ length: 20 }, () =>
        openPostgres({ url: created.url, max: 1, allowUnsafeDurability: true }),
      ),
    );
    const done = await Promise.all(pools.map((pool) => migrate(pool)));
    await Promise.all(pools.map((pool) => pool.close()));
    // Each migration is its own transaction, so two processes may share them out between them.
    expect(done.flat().sort()).toEqual(
      (await readMigrations(migrationsFolder())).map((m) => m.name),
    );
    await created.drop();
  });

  it('let readers of a table pass while a long transaction keeps them from changing it', async () => {
    const created = await createDatabase(inject('postgres').url!);
    const open = () => openPostgres({ url: created.url, max: 1, allowUnsafeDurability: true });
    const [migrator, holder, reader] = [await open(), await open(), await open()];
    await migrate(migrator);
    const number = (await readMigrations(migrationsFolder())).length + 1;
    const path = join(folder, `${String(number).padStart(4, '0')}_column.sql`);
    await writeFile(path, 'ALTER TABLE items ADD COLUMN added int');
    const [{ promise: held, resolve: hold }, { promise: released, resolve: release }] = [
      deferred(),
      deferred(),
    ];
    const holding = holder.transaction(async (tx) => {
      await tx.query('SELECT count(*) FROM items');
      hold();
      await released;
    });
    // Or the migration would be through before there is anything to wait for.
    await held;
    const migrating = migrate(migrator, folder);
    await waitFor('the migration to wait', async () => {
      const { rows } = await reader.query<{ waits: boolean }>(
        `SELECT EXISTS (SELECT FROM pg_locks
           WHERE NOT granted AND relation = 'items'::regclass) AS waits`,
      );
      return rows[0]!.waits;
    });
    // Behind the migration, and with the limit of every process: 2 s.
    expect((await reader.query('SELECT item_id FROM items')).rowCount).toBe(0);
    release();
    await holding;
    expect(await migrating).toHaveLength(1);
    for (const db of [migrator, holder, reader]) await db.close();
    await created.drop();
  });
});

describe('migrations of an empty embedded database', () => {
  it('run in memory, and nothing is left behind', async () => {
    const db = await openPglite();
    expect(await migrate(db)).toEqual(
      (await readMigrations(migrationsFolder())).map((m) => m.name),
    );
    await db.close();
  });
});
