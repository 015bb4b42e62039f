/**
 * Backup and restore with PostgreSQL's own programs (reliability.md C11): a dump, and a base backup with its
 * write-ahead log up to an instant. What comes back is what was there: states are what the events say, and lists
 * are those of before.
 */
import { chown, cp, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrate, openPostgres, type Database } from '@nestrec/database';
import { createRandom } from '@nestrec/random';
import type { Artifact } from '@nestrec/registry';
import { createPublishedModels, createRecommender } from '@nestrec/retrieval';
import { silentLogger } from '@nestrec/runtime';
import { countInteractions } from '@nestrec/storage';
import { selectBackend } from '@nestrec/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { postgresMissing } from '../helpers/databases.js';
import { runsAsRoot, UNPRIVILEGED_ID } from '../helpers/postgres-binaries.js';
import { startPostgres, type PostgresServer } from '../helpers/postgres-server.js';
import { createDatabase, withDatabase } from '../helpers/postgres-template.js';
import { makeArtifact } from '../helpers/published-artifact.js';
import {
  deliverAll,
  ingestOf,
  publish,
  randomEvents,
  verify,
} from '../helpers/state-verification.js';
import { waitFor } from '../helpers/wait-for.js';

const SEED = Number(process.env['TEST_SEED'] ?? 20261126);
const EVENTS = 800;
const USERS = 40;
const K = 20;
const OVERLAP = 0.99;
const LONG_MS = 60_000;
const missing = postgresMissing();

type Lists = Map<string, string[]>;

describe.skipIf(missing !== null)(`after a restore${missing ?? ''}`, () => {
  const ends: (() => Promise<unknown>)[] = [];
  let source: PostgresServer;
  let db: Database;
  let artifact: Artifact;
  let folder: string;
  let name: string;
  /** Everything that was there at the random instant, and at the end. */
  let instant: { at: string; events: number; lists: Lists };
  let atEnd: { events: number; lists: Lists };

  const eventsOf = async (from: Database) => Number((await countInteractions(from)).interactions);
  const quoted = (text: string) => `'${text}'`;
  const inFolder = (entry: string) => join(folder, entry);

  beforeAll(async () => {
    await selectBackend({ force: 'cpu' });
    folder = await mkdtemp(join(tmpdir(), 'nestrec-restore-'));
    ends.unshift(() => rm(folder, { recursive: true, force: true }));
    if (runsAsRoot()) await chown(folder, UNPRIVILEGED_ID, UNPRIVILEGED_ID);
    source = await startPostgres({
      archive_mode: 'on',
      archive_command: quoted(`cp %p ${folder}/wal-%f`),
    });
    ends.unshift(() => source.stop());
    const created = await createDatabase(source.url);
    name = created.name;
    db = await openPostgres({ url: created.url, max: 4 });
    ends.unshift(() => db.close());
    await migrate(db);
    artifact = makeArtifact({ version: 'v1', items: 400 });
    await publish(db, artifact);
    const random = createRandom(SEED);
    const events = randomEvents(SEED, { count: EVENTS, users: USERS, items: 400 });
    const cut = 200 + random.int(EVENTS - 300);
    const run = await ingestOf(db, [artifact], { settings: { verifyIntervalMs: 0 } });
    await deliverAll(run, events.slice(0, 100));
    await source.program('pg_basebackup', [
      ...['-D', inFolder('base'), '-d', source.url, '--checkpoint=fast'],
    ]);
    await deliverAll(run, events.slice(100, cut));
    const { rows } = await db.query<{ at: string }>('SELECT clock_timestamp()::text AS at');
    instant = { at: rows[0]!.at, events: await eventsOf(db), lists: await listsOf(db) };
    await deliverAll(run, events.slice(cut));
    atEnd = { events: await eventsOf(db), lists: await listsOf(db) };
    expect(instant.events).toBeLessThan(atEnd.events);
  }, 600_000);
  afterAll(async () => {
    for (const end of ends) await end();
  });

  /** The lists of all users, as the API makes them. */
  async function listsOf(from: Database): Promise<Lists> {
    const logger = silentLogger();
    const models = createPublishedModels({
      ...{ db: from, logger, loadArtifact: () => Promise.resolve(artifact) },
    });
    const recommender = createRecommender({ db: from, models, logger });
    const lists: Lists = new Map();
    for (let n = 0; n < USERS; n++) {
      const answer = await recommender.recommendForUser({
        ...{ userId: `u${n}`, k: K, maxDim: null, dim: undefined },
      });
      lists.set(
        `u${n}`,
        answer.items.map((item) => item.item_id),
      );
    }
    return lists;
  }

  /** Share of items that two sets of lists have in common, over all users. */
  function overlap(before: Lists, after: Lists): number {
    const same = [...before].map(([user, items]) => {
      const now = new Set(after.get(user));
      return items.filter((item) => now.has(item)).length / items.length;
    });
    return same.reduce((sum, share) => sum + share, 0) / same.length;
  }

  async function expectRestored(
    server: PostgresServer,
    wanted: { events: number; lists: Lists },
  ): Promise<void> {
    const restored = await openPostgres({ url: withDatabase(server.url, name), max: 4 });
    try {
      expect(await eventsOf(restored)).toBe(wanted.events);
      const report = await verify(restored, artifact);
      expect(report, JSON.stringify(report.faults)).toMatchObject({ passed: true, mismatches: 0 });
      expect(report.findings.same).toBeGreaterThan(USERS / 2);
      expect(overlap(wanted.lists, await listsOf(restored))).toBeGreaterThanOrEqual(OVERLAP);
    } finally {
      await restored.close();
    }
  }

  it('from a dump no state differs and the lists are those of before', async () => {
    const file = inFolder('nestrec.dump');
    const dumpMs = await timeOf(
      source.program('pg_dump', ['-Fc', '-f', file, withDatabase(source.url, name)]),
    );
    const target = await startPostgres();
    try {
      const restore = ['--create', '--exit-on-error', '-d', target.url, file];
      const restoreMs = await timeOf(target.program('pg_restore', restore));
      const { size } = await stat(file);
      console.log(
        `${atEnd.events} events, 400 items: dump of ${Math.round(size / 1e3)} kB ${dumpMs} ms, restored in ${restoreMs} ms`,
      );
      await expectRestored(target, atEnd);
    } finally {
      await target.stop();
    }
  });

  it(`from a base backup and its log everything is as at the random instant (seed ${SEED})`, async () => {
    await db.query('SELECT pg_switch_wal()');
    await waitFor(
      'the log to be archived',
      async () => {
        const { rows } = await db.query<{ done: boolean }>(
          `SELECT last_archived_wal >= pg_walfile_name(pg_current_wal_lsn() - 1) AS done
           FROM pg_stat_archiver`,
        );
        return rows[0]!.done;
      },
      LONG_MS,
    );
    const startMs = performance.now();
    const target = await startPostgres(
      {
        restore_command: quoted(`cp ${folder}/wal-%f %p`),
        recovery_target_time: quoted(instant.at),
        recovery_target_action: 'promote',
      },
      async (data) => {
        await cp(inFolder('base'), data, { recursive: true });
        await writeFile(join(data, 'recovery.signal'), '');
        if (runsAsRoot()) await giveAway(data);
      },
    );
    try {
      const recovered = await openPostgres({ url: target.url, max: 1, replica: true });
      await waitFor(
        'the end of recovery',
        async () => {
          const { rows } = await recovered.query<{ busy: boolean }>(
            'SELECT pg_is_in_recovery() AS busy',
          );
          return !rows[0]!.busy;
        },
        LONG_MS,
      );
      await recovered.close();
      console.log(`base backup and log: restored in ${Math.round(performance.now() - startMs)} ms`);
      await expectRestored(target, instant);
    } finally {
      await target.stop();
    }
  });

  it('the comparison itself sees a restore that is not whole', async () => {
    const [user, items] = [...atEnd.lists][0]!;
    const other = new Map(atEnd.lists).set(user, items.slice(0, K / 2));
    expect(overlap(atEnd.lists, other)).toBeLessThan(OVERLAP);
    expect(overlap(atEnd.lists, atEnd.lists)).toBe(1);
  });
});

/** Milliseconds that something takes that has begun. */
async function timeOf(work: Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work;
  return Math.round(performance.now() - startMs);
}

/** What root copied belongs to root; the server runs as nobody. */
async function giveAway(data: string): Promise<void> {
  await chown(data, UNPRIVILEGED_ID, UNPRIVILEGED_ID);
  for (const entry of await readdir(data, { recursive: true })) {
    await chown(join(data, entry), UNPRIVILEGED_ID, UNPRIVILEGED_ID);
  }
}
