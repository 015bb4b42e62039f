/** Statements whose plans the server keeps (ingest's): the same answers, also when the tables change under them. */
import { describe, expect, it } from 'vitest';
import { openTestPostgres, postgresMissing } from '../helpers/databases.js';

const missing = postgresMissing();

describe.skipIf(missing !== null)(`prepared statements ${missing ?? ''}`, () => {
  it('keep one plan per text and connection', async () => {
    const { db, dispose } = await openTestPostgres({ max: 1, prepareStatements: true });
    const kept = () =>
      db.transaction(async (tx) => {
        await tx.query('SELECT $1::int + 1 AS sum', [1]);
        const { rows } = await tx.query<{ statement: string; calls: bigint }>(
          `SELECT statement, generic_plans + custom_plans AS calls FROM pg_prepared_statements
           WHERE statement LIKE 'SELECT $1::int + 1%'`,
        );
        return rows;
      });
    expect(await kept()).toMatchObject([{ calls: 1n }]);
    expect(await kept()).toMatchObject([{ calls: 2n }]);
    await dispose();
  });

  it('a plan that a migration outdated fails one transaction, and none after it', async () => {
    const { db, dispose } = await openTestPostgres({ max: 1, prepareStatements: true });
    await db.execute('CREATE TABLE changing (a int); INSERT INTO changing VALUES (1)');
    const read = () => db.transaction((tx) => tx.query('SELECT * FROM changing WHERE a = $1', [1]));
    expect((await read()).rows).toEqual([{ a: 1 }]);
    await db.execute('ALTER TABLE changing ADD COLUMN b int DEFAULT 2');
    await expect(read()).rejects.toThrow();
    expect((await read()).rows).toEqual([{ a: 1, b: 2 }]);
    await db.execute('DROP TABLE changing');
    await dispose();
  });

  const openWithTable = async () => {
    const { db, dispose } = await openTestPostgres({ max: 1, prepareStatements: true });
    await db.execute('CREATE TABLE changing (a int); INSERT INTO changing VALUES (1)');
    const read = async () =>
      (await db.query('SELECT * FROM changing WHERE a IS NOT NULL', [], { prepare: true })).rows;
    const connection = async () => {
      const { rows } = await db.query<{ pid: number; kept: number }>(
        `SELECT pg_backend_pid() AS pid, (SELECT count(*)::int FROM pg_prepared_statements
                                          WHERE statement LIKE '%FROM changing%') AS kept`,
      );
      return rows[0]!;
    };
    return { db, dispose, read, connection };
  };

  it('outside transactions a column that changed its type is read at once, and its plan made anew', async () => {
    const { db, dispose, read, connection } = await openWithTable();
    expect([await read(), await read()]).toEqual([[{ a: 1 }], [{ a: 1 }]]);
    const before = await connection();
    expect(before.kept).toBe(1);
    await db.execute('ALTER TABLE changing ALTER COLUMN a TYPE text');
    expect(await read()).toEqual([{ a: '1' }]);
    // Not the connection that believes in the old plan, and no plan on it yet: that answer needed none.
    const after = await connection();
    expect([after.pid === before.pid, after.kept]).toEqual([false, 0]);
    expect([await read(), await read()]).toEqual([[{ a: '1' }], [{ a: '1' }]]);
    // None of them failed: each failure would have cost the connection.
    expect(await connection()).toEqual({ pid: after.pid, kept: 1 });
    await dispose();
  });

  it('a statement that the server dropped is made anew, outside transactions and in the next one', async () => {
    const { db, dispose, read, connection } = await openWithTable();
    await read();
    const before = await connection();
    await db.execute('DEALLOCATE ALL');
    expect(await read()).toEqual([{ a: 1 }]);
    const after = await connection();
    expect(after.pid).not.toBe(before.pid);

    const inside = () =>
      db.transaction((tx) => tx.query('SELECT a + $1::int AS a FROM changing', [1]));
    expect((await inside()).rows).toEqual([{ a: 2 }]);
    await db.execute('DEALLOCATE ALL');
    await expect(inside()).rejects.toThrow();
    expect((await inside()).rows).toEqual([{ a: 2 }]);
    await dispose();
  });
});
