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
});
