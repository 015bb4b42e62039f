/**
 * Publishing beside those who use what is published, on PostgreSQL: indexes are built and dropped under a served
 * table, and two publish at once.
 */
import { openPostgres, type Database } from '@nestrec/database';
import { createEmbedderSource, embedItemInLiveVersions, pruneVersions } from '@nestrec/publishing';
import { silentLogger } from '@nestrec/runtime';
import {
  getPublished,
  getVersion,
  itemVectorsTable,
  listItemVectorTables,
  upsertItems,
} from '@nestrec/storage';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createTestPostgres, postgresMissing } from '../helpers/databases.js';
import { dropLeftover } from '../../packages/publishing/src/clean-up.js';
import type { CreatedDatabase } from '../helpers/postgres-template.js';
import { catalogueItem, itemIdOf, makeArtifact } from '../helpers/published-artifact.js';
import { publishingOn } from '../helpers/publishing.js';
import { wipeAll } from '../helpers/state-verification.js';
import { tiersOf } from '../helpers/tiers-of.js';
import { waitFor } from '../helpers/wait-for.js';

const logger = silentLogger();
const missing = postgresMissing();

describe.skipIf(missing !== null)(`publishing beside others${missing ?? ''}`, () => {
  let created: CreatedDatabase;
  let db: Database;
  /** As another process has it. */
  let other: Database;
  beforeAll(async () => {
    created = await createTestPostgres();
    const open = () => openPostgres({ url: created.url, max: 4, allowUnsafeDurability: true });
    [db, other] = [await open(), await open()];
  });
  afterAll(async () => {
    await Promise.all([db.close(), other.close()]);
    await created.drop();
  });
  beforeEach(() => wipeAll(db));

  const v1 = makeArtifact({ version: 'v1' });
  const { publish, indexesOf, namesOf } = publishingOn(() => db);

  describe('an index for a table that is served', () => {
    /** A transaction that wrote to the table and does not end; it is ended by calling what is returned. */
    async function openWriter(version: string): Promise<() => Promise<void>> {
      let end: () => void = () => undefined;
      let ended: Promise<void> = Promise.resolve();
      await new Promise<void>((wrote, failed) => {
        ended = other.transaction(async (tx) => {
          await tx.query('SET LOCAL idle_in_transaction_session_timeout = 0');
          await tx.query(
            `UPDATE ${itemVectorsTable(version)} SET removed = false WHERE item_id = $1`,
            [itemIdOf(1)],
          );
          wrote();
          await new Promise<void>((resolve) => (end = resolve));
        });
        ended.catch(failed);
      });
      return () => (end(), ended);
    }

    it('is built while items are written: a write ends before the build does', async () => {
      await publish(v1);
      const end = await openWriter('v1');
      const published = publish(v1, { tiers: tiersOf(4, 8, null) });
      const settled = published.then(
        () => 'ended',
        () => 'ended',
      );
      try {
        await waitFor('the build to wait for the older transaction', async () => {
          const { rows } = await other.query(
            `SELECT 1 AS one FROM pg_stat_activity
             WHERE wait_event_type = 'Lock' AND query ILIKE 'CREATE INDEX%'`,
          );
          return rows.length > 0;
        });
        await upsertItems(other, [catalogueItem(700)]);
        const embedders = createEmbedderSource(() => Promise.resolve(v1), 2);
        expect(await embedItemInLiveVersions(other, itemIdOf(700), embedders, logger)).toEqual([
          'v1',
        ]);
        expect(await Promise.race([settled, Promise.resolve('builds')])).toBe('builds');
      } finally {
        await end();
        await settled;
      }
      expect((await published).dims.map(({ dim }) => dim)).toEqual([4, 8, 16]);
      expect((await indexesOf('v1')).every(({ valid }) => valid)).toBe(true);
    });

    it('takes the place of what a build that died left', async () => {
      await publish(v1);
      await db.execute(`CREATE INDEX iv_v1_8h ON ${itemVectorsTable('v1')} (removed)`);
      await db.execute(
        `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'iv_v1_8h'::regclass`,
      );
      await publish(v1, { tiers: tiersOf(8) });
      expect(await indexesOf('v1')).toEqual([{ name: 'iv_v1_8h', valid: true, hnsw: true }]);
    });
  });

  describe('indexes that no plan uses any more', () => {
    /** As a version was left that was published before indexes were of halves. */
    const makeOld = async () => {
      await publish(v1);
      const table = itemVectorsTable('v1');
      await db.execute(
        `DROP INDEX iv_v1_4h; DROP INDEX iv_v1_16h;
         CREATE INDEX iv_v1_4 ON ${table}
           USING hnsw ((subvector(embedding, 1, 4)::vector(4)) vector_ip_ops);
         CREATE INDEX iv_v1_16 ON ${table} USING hnsw (embedding vector_ip_ops);
         UPDATE model_versions SET retrieval = NULL, index_dims = '{4,16}'`,
      );
    };

    it('go once the version is published again, after its new plans are in force and not before', async () => {
      await makeOld();
      const said: string[] = [];
      const recording: Database = {
        ...db,
        query: (text, params) => {
          if (text.includes('SET retrieval')) said.push('switched');
          return db.query(text, params);
        },
        unlimited: async (statements) => {
          for (const text of statements) {
            if (/DROP INDEX/.test(text)) said.push(text);
          }
          await db.unlimited(statements);
        },
      };
      await publish(v1, { db: recording });
      expect(await namesOf('v1')).toEqual(['iv_v1_16h', 'iv_v1_4h']);
      expect(said[0]).toBe('switched');
      expect(said.slice(1).sort()).toEqual([
        'DROP INDEX CONCURRENTLY IF EXISTS "iv_v1_16"',
        'DROP INDEX CONCURRENTLY IF EXISTS "iv_v1_4"',
      ]);
    });

    it('stay where the publish fails', async () => {
      await makeOld();
      const failing: Database = {
        ...db,
        query: (text, params) =>
          text.includes('SET retrieval')
            ? Promise.reject(new Error('gone'))
            : db.query(text, params),
      };
      await expect(publish(v1, { db: failing })).rejects.toThrow('gone');
      expect(await namesOf('v1')).toEqual(expect.arrayContaining(['iv_v1_16', 'iv_v1_4']));
    });

    it('stay where another version that shares the table is searched by them', async () => {
      await publish(v1);
      await db.execute(
        `INSERT INTO model_versions (version, status, manifest, path, vectors_version, retrieval)
         SELECT 'v0', 'retired', manifest, path, version, retrieval FROM model_versions`,
      );
      await publish(v1, { tiers: tiersOf(8) });
      expect(await namesOf('v1')).toEqual(['iv_v1_16h', 'iv_v1_4h', 'iv_v1_8h']);
      await db.execute(`DELETE FROM model_versions WHERE version = 'v0'`);
      await publish(v1, { tiers: tiersOf(8) });
      expect(await namesOf('v1')).toEqual(['iv_v1_8h']);
    });
  });

  describe('two that publish at once', () => {
    const served = async () => {
      const pointer = (await getPublished(db))!;
      const { rows } = await db.query<{ rows: number }>(
        `SELECT count(*)::int AS rows FROM ${itemVectorsTable(pointer.version)}`,
      );
      const { indexes } = (await getVersion(db, pointer.version))!;
      expect(await namesOf(pointer.version)).toEqual(indexes.map(({ name }) => name).sort());
      return { version: pointer.version, rows: rows[0]!.rows };
    };

    it('publish in turn: none loses its table, and both versions are whole', async () => {
      await publish(v1);
      for (let round = 0; round < 5; round++) {
        const [a, b] = [`a${round}`, `b${round}`];
        const results = await Promise.all([
          publish(makeArtifact({ version: a })),
          publish(makeArtifact({ version: b }), { db: other }),
        ]);
        expect(results.map(({ outcome }) => outcome)).toEqual(['published', 'published']);
        const now = await served();
        expect([a, b]).toContain(now.version);
        expect(now.rows).toBe(60);
        expect((await listItemVectorTables(db)).length).toBeLessThanOrEqual(3);
        expect(await listItemVectorTables(db)).toEqual(expect.arrayContaining([a, b]));
      }
    });

    it('are told who is at work where they do not want to wait, and disturb nothing', async () => {
      await publish(v1);
      const refusals: string[] = [];
      const note = (attempt: Promise<unknown>) =>
        attempt.then(
          () => 'done',
          (error: { code: string; detail: string }) => `${error.code}: ${error.detail}`,
        );
      let begun: Promise<unknown> | undefined;
      const tryBeside = async () => {
        const second = { db: other, waitMs: 0 };
        refusals.push(await note(publish(makeArtifact({ version: 'v3' }), second)));
        const prune = { db: other, logger, modelsDir: 'nowhere', waitMs: 0 };
        refusals.push(await note(pruneVersions(prune)));
      };
      // The build goes on only when the others have ended: it waits for what they tried.
      const slow: Database = {
        ...db,
        query: async (text, params) => {
          await begun;
          return db.query(text, params);
        },
      };
      await publish(makeArtifact({ version: 'v2' }), {
        db: slow,
        onProgress: ({ phase }) => {
          if (phase === 'index') begun ??= tryBeside();
        },
      });
      const who = `process ${process.pid} on `;
      expect(refusals).toEqual([
        expect.stringMatching(/^publish_conflict: .*publishes v2/) as string,
        expect.stringMatching(/^publish_conflict: .*publishes v2/) as string,
      ]);
      for (const refusal of refusals) expect(refusal).toContain(who);
      expect(await served()).toEqual({ version: 'v2', rows: 60 });
      expect(await listItemVectorTables(db)).toEqual(['v1', 'v2']);
    });
  });

  describe('what a killed publish left', () => {
    /** A table that the database goes on to use for a dead client, as when it builds an index. */
    const orphan = async (seconds: number): Promise<{ ended: Promise<unknown> }> => {
      const table = itemVectorsTable('v2');
      await db.execute(`CREATE TABLE ${table} (embedding vector(4))`);
      const ended = other.transaction(
        async (tx) => {
          await tx.execute(`LOCK TABLE ${table} IN SHARE MODE`);
          await tx.query('SELECT pg_sleep($1)', [seconds]);
        },
        { statementTimeoutMs: 0 },
      );
      await waitFor('the lock', async () => {
        const { rows } = await db.query(
          `SELECT 1 AS one FROM pg_locks
           WHERE relation = to_regclass($1) AND mode = 'ShareLock' AND granted`,
          [table],
        );
        return rows.length > 0;
      });
      return { ended };
    };

    it('is waited for where the database is at work for it, longer than for other locks', async () => {
      await publish(v1);
      const { ended } = await orphan(4);
      expect(await publish(makeArtifact({ version: 'v2' }))).toMatchObject({
        outcome: 'published',
      });
      await ended;
    });

    it('stays where it is in use for longer than that: a conflict, to be tried again', async () => {
      const { ended } = await orphan(2);
      await expect(dropLeftover(db, 'v2', 0)).rejects.toMatchObject({
        ...{ code: 'publish_conflict', traits: { retryable: true } },
        detail: expect.stringContaining('pg_stat_activity') as string,
      });
      expect(await listItemVectorTables(db)).toEqual(['v2']);
      await ended;
    });
  });
});
