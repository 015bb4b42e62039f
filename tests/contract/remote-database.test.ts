/** The embedded database as a training process sees it, through the process that holds it. */
import {
  openRemoteDatabase,
  serveDatabase,
  sqlState,
  type Database,
  type DatabaseServer,
} from '@nestrec/database';
import { InvalidParameter, isError } from '@nestrec/errors';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openTestPglite, type TestDatabase } from '../helpers/databases.js';

/** Both ends, with a channel between them that copies, as between processes. */
function connect(db: Database): { remote: Database; server: DatabaseServer } {
  let take: (message: unknown) => void = () => undefined;
  const server = serveDatabase(db, (message) => take(structuredClone(message)));
  const remote = openRemoteDatabase({
    post: (message) => server.take(structuredClone(message)),
    onMessage: (next) => {
      take = next;
    },
  });
  return { remote, server };
}

describe('the embedded database through another process', () => {
  let opened: TestDatabase;
  beforeAll(async () => {
    opened = await openTestPglite();
    await opened.db.execute('CREATE TABLE things (id int PRIMARY KEY, name text)');
  });
  afterAll(() => opened.dispose());
  beforeEach(() => opened.db.execute('TRUNCATE things'));
  const count = async () =>
    (await opened.db.query<{ n: number }>('SELECT count(*)::int AS n FROM things')).rows[0]!.n;

  it('takes and gives the values that the database itself takes and gives', async () => {
    const { remote } = connect(opened.db);
    const params = [7n, new Date(1_000), new Uint8Array([0, 255]), [1, 2], ['a', null], null, true];
    const sql =
      'SELECT $1::bigint AS a, $2::timestamptz AS b, $3::bytea AS c, $4::int[] AS d, $5::text[] AS e, $6::text AS f, $7::bool AS g';
    expect(await remote.query(sql, params)).toEqual(await opened.db.query(sql, params));
  });

  it('commits a transaction that ends well, and undoes one that does not', async () => {
    const { remote } = connect(opened.db);
    const insert = (id: number) =>
      remote.transaction((tx) => tx.query('INSERT INTO things VALUES ($1)', [id]));
    await insert(1);
    await expect(insert(1)).rejects.toSatisfy((error) => sqlState(error) === '23505');
    await expect(
      remote.transaction(async (tx) => {
        await tx.execute('INSERT INTO things VALUES (2)');
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    expect(await count()).toBe(1);
  });

  it('keeps locks apart from those of the holder, and gives them back when the other end is gone', async () => {
    const { remote, server } = connect(opened.db);
    const held = await remote.hold(1, 'the child');
    expect(held).toHaveProperty('release');
    expect(await opened.db.hold(1, 'the parent')).toEqual({ heldBy: 'the child' });
    await server.close();
    const own = await opened.db.hold(1, 'the parent');
    const { remote: next } = connect(opened.db);
    expect(await next.hold(1, 'another child')).toEqual({ heldBy: 'the parent' });
    if ('release' in own) await own.release();
    const after = await next.hold(1, 'another child');
    if ('release' in after) await after.release();
    expect(await opened.db.hold(1, 'the parent')).toHaveProperty('release');
  });

  it('raises the errors of the catalogue, and lets nobody use it inside its own transaction', async () => {
    const { remote } = connect(opened.db);
    const wrong = await remote.query("SELECT 'x'::int").catch((error: unknown) => error);
    expect(isError(wrong, InvalidParameter)).toBe(true);
    await expect(remote.transaction(() => remote.execute('SELECT 1'))).rejects.toThrow(
      /inside its own transaction/,
    );
  });

  it('undoes what a process that died had open, and serves on', async () => {
    const { remote, server } = connect(opened.db);
    let begun: () => void;
    const open = new Promise<void>((resolve) => (begun = resolve));
    void remote
      .transaction(async (tx) => {
        await tx.execute('INSERT INTO things VALUES (3)');
        begun();
        await new Promise(() => undefined);
      })
      .catch(() => undefined);
    await open;
    await server.close();
    expect(await count()).toBe(0);
  });
});
