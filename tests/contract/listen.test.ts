/** What listening to the database promises on both adapters, and that PostgreSQL's comes back when it is cut. */
import type { Database } from '@nestrec/database';
import { InternalError } from '@nestrec/errors';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  databaseEntries,
  describeDatabases,
  openTestPostgres,
  postgresMissing,
  type TestDatabase,
} from '../helpers/databases.js';
import { waitFor } from '../helpers/wait-for.js';

/** Listens and resolves once it hears. */
async function listen(db: Database, channel: string) {
  const heard: (string | null)[] = [];
  const listening = db.listen(channel, (payload) => void heard.push(payload));
  await waitFor('the first word', () => heard.length > 0);
  return { heard, stop: () => listening.stop() };
}

const say = (db: Database, channel: string, text: string) =>
  db.query('SELECT pg_notify($1, $2)', [channel, text]);

describeDatabases('listening', (database) => {
  it('begins with null, then hears what is said, in order and by channel', async () => {
    const db = database();
    const { heard, stop } = await listen(db, 'first');
    await say(db, 'other', 'not for us');
    for (const text of ['one', '', 'ünï; \' "']) await say(db, 'first', text);
    await waitFor('three messages', () => heard.length === 4);
    expect(heard).toEqual([null, 'one', '', 'ünï; \' "']);
    await stop();
  });

  it('hears a transaction when it commits, and never what was rolled back', async () => {
    const db = database();
    const { heard, stop } = await listen(db, 'commits');
    await db
      .transaction(async (tx) => {
        await tx.query(`SELECT pg_notify('commits', 'undone')`);
        throw new Error('changed our mind');
      })
      .catch(() => undefined);
    const before = await db.transaction(async (tx) => {
      await tx.query(`SELECT pg_notify('commits', 'done')`);
      await tx.query('SELECT 1');
      return [...heard];
    });
    await waitFor('the message', () => heard.length === 2);
    expect(before).toEqual([null]);
    expect(heard).toEqual([null, 'done']);
    await stop();
  });

  it('lets many listen to one channel, and those who stop hear nothing more', async () => {
    const db = database();
    const [a, b] = [await listen(db, 'shared'), await listen(db, 'shared')];
    await a.stop();
    await a.stop();
    await say(db, 'shared', 'to b');
    await waitFor('b to hear', () => b.heard.length === 2);
    expect(a.heard).toEqual([null]);
    await b.stop();
  });

  it('refuses a channel whose name would not be a plain name', () => {
    const wrong = () => database().listen('a"; DROP TABLE items; --', () => undefined);
    expect(wrong).toThrow(InternalError);
  });
});

describe.each(databaseEntries())('$name, once it is closed', ({ missing, open }) => {
  it.skipIf(missing !== null)('has no listeners left, and takes no new ones', async () => {
    const { db, dispose } = await open();
    const { heard, stop } = await listen(db, 'closing');
    await db.close();
    await stop();
    expect(heard).toEqual([null]);
    expect(() => db.listen('closing', () => undefined)).toThrowError(
      expect.objectContaining({ code: 'database_unavailable' }) as Error,
    );
    await dispose();
  });
});

describe.skipIf(postgresMissing() !== null)('a listening connection that is cut', () => {
  let opened: TestDatabase;
  beforeAll(async () => {
    opened = await openTestPostgres({ applicationName: 'cut' });
  });
  afterAll(() => opened.dispose());

  it('is made again, says so by null, and hears on', async () => {
    const { db } = opened;
    const { heard, stop } = await listen(db, 'cuts');
    for (let cuts = 1; cuts <= 3; cuts++) {
      const { rowCount } = await db.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE application_name = 'cut-listen' AND datname = current_database()`,
      );
      expect(rowCount).toBe(1);
      await waitFor('listening again', () => heard.filter((one) => one === null).length > cuts);
      await say(db, 'cuts', `after ${cuts}`);
      await waitFor('the message', () => heard.at(-1) === `after ${cuts}`);
    }
    await stop();
    const left = await db.query(
      `SELECT 1 FROM pg_stat_activity WHERE application_name = 'cut-listen' AND datname = current_database()`,
    );
    expect(left.rowCount).toBe(0);
  });
});
