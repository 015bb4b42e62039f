/** What every database adapter promises: values, errors, transactions. */
import { json, parseVector, sqlState, vectorText, type Hold } from '@nestrec/database';
import { DatabaseUnavailable, InternalError, InvalidParameter, isError } from '@nestrec/errors';
import { beforeEach, expect, it } from 'vitest';
import { describeDatabases } from '../helpers/databases.js';
import { waitFor } from '../helpers/wait-for.js';

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'resolved',
    (error: unknown) => (error as { code: string }).code,
  );

describeDatabases('values', (database) => {
  const roundTrip = async (type: string, value: unknown) =>
    (await database().query<{ v: unknown }>(`SELECT $1::${type} AS v`, [value])).rows[0]!.v;

  it.each<[string, unknown]>([
    ['bool', true],
    ['bool', false],
    ['int2', -5],
    ['int4', 2_147_483_647],
    ['int8', 9_223_372_036_854_775_807n],
    ['int8', -1n],
    ['float8', 0.1],
    ['float8', Number.POSITIVE_INFINITY],
    ['float4', 0.5],
    ['numeric', '12345678901234567890.5'],
    ['text', ''],
    ['text', 'quotes " \' \\ {}, NULL and ünïcödé 😀'],
    ['bytea', new Uint8Array()],
    ['bytea', new Uint8Array([0, 1, 127, 128, 255])],
    ['timestamptz', new Date('2026-11-23T10:00:00.123Z')],
    ['timestamptz', new Date('1969-12-31T23:59:59.999Z')],
    ['timestamp', new Date('2000-02-29T00:00:00Z')],
    ['uuid', '00000000-0000-0000-0000-000000000001'],
    ['text[]', ['a', 'b,c', '"', '\\', '{}', 'NULL', '', null]],
    ['text[]', []],
    ['int4[]', [1, null, -3]],
    [
      'int4[]',
      [
        [1, 2],
        [3, 4],
      ],
    ],
    ['int8[]', [1n, 9_007_199_254_740_993n]],
    ['float8[]', [0.1, -2]],
    ['bool[]', [true, false, null]],
    ['bytea[]', [new Uint8Array([255, 0]), null]],
    ['timestamptz[]', [new Date(0), null]],
    ['int4', null],
    ['jsonb', null],
  ])('%s comes back as it went in (%o)', async (type, value) => {
    expect(await roundTrip(type, value)).toEqual(value);
  });

  it('keeps JSON, also where it looks like SQL arrays or null', async () => {
    const values = [{ a: [1, { b: null }], 'k"': '\\' }, [1, 2], 'text', 7, false, null];
    for (const value of values) {
      expect(await roundTrip('jsonb', json(value))).toEqual(value);
      expect(await roundTrip('json', json(value))).toEqual(value);
    }
    expect(await roundTrip('jsonb[]', [json({ a: 1 }), json([2])])).toEqual([{ a: 1 }, [2]]);
  });

  it('sends typed arrays as SQL arrays, bytes as bytea', async () => {
    expect(await roundTrip('float4[]', Float32Array.of(0.5, -1.25, 3e-8))).toEqual([
      0.5, -1.25, 3e-8,
    ]);
    expect(await roundTrip('int4[]', Int32Array.of(1, 2))).toEqual([1, 2]);
    const view = new Uint8Array([9, 1, 2, 9]).subarray(1, 3);
    expect(await roundTrip('bytea', view)).toEqual(new Uint8Array([1, 2]));
  });

  it('gives bytea a buffer of its own, so that float views over it start at 0', async () => {
    const bytes = (await roundTrip('bytea', new Uint8Array(8))) as Uint8Array;
    expect([bytes.constructor, bytes.byteOffset, bytes.buffer.byteLength]).toEqual([
      Uint8Array,
      0,
      8,
    ]);
  });

  it('keeps every float32 bit of a vector through pgvector text', async () => {
    const vector = Float32Array.from({ length: 64 }, (_, i) =>
      Math.fround(Math.sin(i) * 10 ** (i - 32)),
    );
    expect(parseVector(String(await roundTrip('vector(64)', vectorText(vector))))).toEqual(vector);
  });

  it('takes lists far above the 65,535 parameters of the protocol', async () => {
    const ids = Array.from({ length: 70_000 }, (_, i) => `id-${i}`);
    const { rows } = await database().query<{ n: bigint }>(
      `SELECT count(*) AS n FROM unnest($1::text[]) AS id WHERE id = ANY($1)`,
      [ids.slice(0, 300)],
    );
    expect(rows[0]!.n).toBe(300n);
    const all = await database().query<{ n: number }>('SELECT cardinality($1::text[]) AS n', [ids]);
    expect(all.rows[0]!.n).toBe(70_000);
  });

  it('counts rows returned and rows changed', async () => {
    const db = database();
    await db.execute('CREATE TABLE IF NOT EXISTS counted (i int)');
    expect((await db.query('INSERT INTO counted SELECT generate_series(1, 3)')).rowCount).toBe(3);
    expect((await db.query('UPDATE counted SET i = i WHERE i > 1')).rowCount).toBe(2);
    expect((await db.query('DELETE FROM counted RETURNING i')).rowCount).toBe(3);
    expect((await db.query('SELECT i FROM counted')).rowCount).toBe(0);
  });
});

describeDatabases('bad values', (database) => {
  it.each<[string, string, unknown]>([
    ['a NUL in text', 'text', 'a\u0000b'],
    ['a lone surrogate', 'text', '\ud800'],
    ['a NUL in a list', 'text[]', ['ok', 'a\u0000']],
    ['a NUL inside JSON', 'jsonb', json({ a: '\u0000' })],
    ['a lone surrogate inside JSON', 'jsonb', json({ a: '\udc00' })],
    ['an invalid time', 'timestamptz', new Date(Number.NaN)],
    ['a time that no calendar shows', 'timestamptz', new Date(8.64e15)],
    ['a fraction for an integer', 'int4', 1.5],
    ['an integer out of range', 'int4', 2 ** 40],
    ['infinity for an integer', 'int8', Number.POSITIVE_INFINITY],
    ['a float32 overflow', 'float4', 1e300],
    ['text for a number', 'int4', 'abc'],
    ['NaN in a vector', 'vector', '[1,NaN]'],
    ['an empty vector', 'vector', '[]'],
    ['a vector of another width', 'vector(3)', '[1,2]'],
  ])('%s is refused as the caller’s value, and nothing breaks', async (_, type, value) => {
    expect(await codeOf(database().query(`SELECT $1::${type}`, [value]))).toBe(
      InvalidParameter.code,
    );
    expect((await database().query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  it('never shows SQL, SQLSTATE or more than 64 characters of the value to clients', async () => {
    const long = `${'x'.repeat(500)}\u0000`;
    for (const [sql, value] of [
      ['SELECT $1::text', long],
      ['SELECT $1::int4', 'x'.repeat(500)],
    ] as const) {
      const error = await database()
        .query(sql, [value])
        .catch((e: unknown) => e as Error & { detail: string });
      const detail = (error as { detail: string }).detail;
      expect(detail).not.toMatch(/SELECT|22P02|22021|int4/);
      expect(detail).not.toContain('x'.repeat(65));
    }
  });

  it('infinite times cannot be stored as event times, and are refused when read', async () => {
    const db = database();
    expect(await codeOf(db.query(`SELECT 'infinity'::event_time`))).toBe(InvalidParameter.code);
    expect(await codeOf(db.query(`SELECT 'infinity'::timestamptz`))).toBe(InternalError.code);
    expect((await db.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  it('a fault of ours is an internal error that keeps the SQLSTATE in its cause', async () => {
    const error = await database()
      .query('SELECT nonsense FROM nowhere')
      .catch((e: unknown) => e);
    expect(isError(error, InternalError)).toBe(true);
    expect(sqlState(error)).toBe('42P01');
  });
});

describeDatabases('transactions', (database) => {
  beforeEach(() =>
    database().execute('CREATE TABLE IF NOT EXISTS kept (i int PRIMARY KEY); TRUNCATE kept'),
  );
  const kept = async () =>
    (await database().query<{ i: number }>('SELECT i FROM kept ORDER BY i')).rows.map((r) => r.i);

  it('keeps all of it, and returns what the work returned', async () => {
    const result = await database().transaction(async (tx) => {
      await tx.query('INSERT INTO kept VALUES (1)');
      await tx.execute('INSERT INTO kept VALUES (2); INSERT INTO kept VALUES (3)');
      return 'done';
    });
    expect([result, await kept()]).toEqual(['done', [1, 2, 3]]);
  });

  it('keeps nothing when the work throws, and throws the same error', async () => {
    const mine = new Error('mine');
    await expect(
      database().transaction(async (tx) => {
        await tx.query('INSERT INTO kept VALUES (1)');
        throw mine;
      }),
    ).rejects.toBe(mine);
    expect(await kept()).toEqual([]);
  });

  it('fails when a statement in it failed, even if the work swallowed that', async () => {
    const result = codeOf(
      database().transaction(async (tx) => {
        await tx.query('INSERT INTO kept VALUES (1)');
        await tx.query('SELECT 1 / 0').catch(() => undefined);
        return 'looks fine';
      }),
    );
    expect(await result).toBe(InvalidParameter.code);
    expect(await kept()).toEqual([]);
  });

  it('fails at commit when a deferred constraint does', async () => {
    await database().execute(
      `CREATE TABLE IF NOT EXISTS deferred (i int UNIQUE DEFERRABLE INITIALLY DEFERRED); TRUNCATE deferred`,
    );
    const error = await database()
      .transaction((tx) => tx.query('INSERT INTO deferred VALUES (1), (1)'))
      .catch((e: unknown) => e);
    expect(sqlState(error)).toBe('23505');
    expect((await database().query('SELECT * FROM deferred')).rowCount).toBe(0);
  });

  it('refuses the database itself inside its own transaction instead of waiting for ever', async () => {
    const db = database();
    expect(await codeOf(db.transaction(() => db.query('SELECT 1')))).toBe(InternalError.code);
    expect(await codeOf(db.transaction(() => db.transaction(async () => 1)))).toBe(
      InternalError.code,
    );
    expect((await db.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  it('refuses a tx that outlives its transaction', async () => {
    const late = await database().transaction(async (tx) => () => tx.query('SELECT 1'));
    expect(await codeOf(late())).toBe(InternalError.code);
  });

  it('lets 50 callers write at once without mixing them up', async () => {
    const db = database();
    await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        db
          .transaction(async (tx) => {
            await tx.query('INSERT INTO kept VALUES ($1)', [i]);
            if (i % 2 === 1) throw new Error('odd');
          })
          .catch(() => undefined),
      ),
    );
    expect(await kept()).toEqual(Array.from({ length: 25 }, (_, i) => i * 2));
  });
});

describeDatabases('locks that outlast a transaction', (database) => {
  const take = async (lock: number, holder: string): Promise<Hold> => {
    const held = await database().hold(lock, holder);
    if ('heldBy' in held) throw new Error(`held by ${held.heldBy}`);
    return held;
  };

  it('belong to one at a time, who is named to the others, until they are released', async () => {
    const first = await take(1, 'process 7 on here');
    expect(await database().hold(1, 'another')).toEqual({ heldBy: 'process 7 on here' });
    const beside = await take(2, 'another');
    expect(first.lost).toBe(false);
    await first.release();
    const second = await take(1, 'another');
    // Released twice, it takes nothing from the next.
    await first.release();
    expect(await database().hold(1, 'a third')).toEqual({ heldBy: 'another' });
    await Promise.all([second.release(), beside.release()]);
  });

  it('keep no snapshot, which others would wait for', async () => {
    if (database().kind === 'pglite') return;
    const held = await take(1, 'without snapshot');
    const { rows } = await database().query(
      `SELECT state, backend_xmin IS NULL AS none FROM pg_stat_activity
       WHERE application_name = 'without snapshot'`,
    );
    await held.release();
    expect(rows).toEqual([{ state: 'idle in transaction', none: true }]);
  });

  it('are lost with the connection, and whoever had one hears of it', async () => {
    if (database().kind === 'pglite') return;
    const first = await take(1, 'doomed');
    await database().query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'doomed'`,
    );
    await waitFor('the loss to be heard of', () => first.lost);
    await (await take(1, 'another')).release();
    await first.release();
  });
});

describeDatabases('work without limits', (database) => {
  it('runs outside transactions, and leaves no setting behind', async () => {
    const db = database();
    const isPostgres = db.kind === 'postgres';
    await db.execute('CREATE TABLE slow (id int)');
    await db.unlimited([
      "SET search_path = 'public'",
      'RESET search_path',
      ...(isPostgres ? [`SET work_mem = '77MB'`] : []),
      `CREATE INDEX ${isPostgres ? 'CONCURRENTLY' : ''} slow_id ON slow (id)`,
    ]);
    const { rows } = await db.query(
      `SELECT indexrelid::regclass::text AS name, current_setting('work_mem') <> '77MB' AS forgot,
         current_setting('statement_timeout') AS "limit"
       FROM pg_index WHERE indrelid = 'slow'::regclass AND indisvalid`,
    );
    expect(rows).toEqual([{ name: 'slow_id', forgot: true, limit: isPostgres ? '10s' : '0' }]);
    await db.execute('DROP TABLE slow');
  });
});

describeDatabases('closing', (database) => {
  it('is safe twice, and later calls are refused as unavailable', async () => {
    const db = database();
    await Promise.all([db.close(), db.close()]);
    expect(await codeOf(db.query('SELECT 1'))).toBe(DatabaseUnavailable.code);
    expect(await codeOf(db.transaction(async () => 1))).toBe(DatabaseUnavailable.code);
  });
});
