/** Verification of states on both databases: healthy ones pass, damaged ones are found, by both ways. */
import { silentLogger } from '@nestrec/runtime';
import type { Database } from '@nestrec/database';
import { nextUsers, sampleStates, sampleUsers } from '@nestrec/storage';
import { selectBackend } from '@nestrec/tensor';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { describeDatabases } from '../helpers/databases.js';
import { itemIdOf, makeArtifact } from '../helpers/published-artifact.js';
import {
  damageState,
  deliverAll,
  FOUND_BY_BOTH,
  ingestOf,
  publish,
  randomEvents,
  verify,
  wipeAll,
} from '../helpers/state-verification.js';
import { waitFor } from '../helpers/wait-for.js';

beforeAll(() => selectBackend({ force: 'cpu' }));

describeDatabases('states', (database) => {
  let db: Database;
  beforeAll(() => {
    db = database();
  });
  beforeEach(() => wipeAll(db));

  /** A published version and two users with six events each. */
  const twoUsers = async (blocks = 1) => {
    const artifact = makeArtifact({ version: 'v1', blocks });
    await publish(db, artifact);
    const run = await ingestOf(db, [artifact], { settings: { verifyIntervalMs: 0 } });
    for (let n = 0; n < 6; n++) {
      await run.events(
        { id: `a${n}`, user: 'a', item: itemIdOf(n), ago: 10 - n },
        { id: `b${n}`, user: 'b', item: itemIdOf(n + 20), ago: 10 - n },
      );
    }
    return { artifact, run };
  };

  describe('verified', () => {
    it.each([1, 2])(
      'agree after thousands of random events, late and unknown ones among them (K = %i)',
      async (blocks) => {
        const artifact = makeArtifact({ version: 'v1', blocks });
        await publish(db, artifact);
        const run = await ingestOf(db, [artifact], { settings: { verifyIntervalMs: 0 } });
        await deliverAll(run, randomEvents(blocks, { count: 4_000 }));
        const report = await verify(db, artifact);
        expect(report, JSON.stringify(report.faults)).toMatchObject({
          ...{ passed: true, users: 40, mismatches: 0, faults: [], modelVersion: 'v1' },
        });
        expect(report.findings.same).toBeGreaterThan(20);
        expect(report.findings.same + report.findings.unknown_items).toBe(40);
        expect(report.worstState.user).not.toBeNull();
        expect(report.worstQuery.map(({ dim }) => dim)).toEqual([4, 8, 16]);
        for (const { error } of report.worstQuery) expect(error).toBeLessThan(2e-5);
      },
    );

    it('count what is rebuilt anyway, and call none of it a fault', async () => {
      const { artifact, run } = await twoUsers();
      await run.events({ id: 'c', user: 'c', item: 'unknown', ago: 1 });
      await db.query('DELETE FROM user_states WHERE user_id = $1', ['a']);
      expect(await verify(db, artifact)).toMatchObject({
        passed: true,
        findings: { same: 1, absent: 1, unknown_items: 1, other_version: 0 },
      });
      const next = makeArtifact({ version: 'v2', seed: 2 });
      await publish(db, next);
      expect(await verify(db, next)).toMatchObject({
        passed: true,
        findings: { absent: 1, other_version: 2, same: 0 },
      });
    });

    it('are found by both ways when one number of the newest block is flipped', async () => {
      const { artifact } = await twoUsers();
      await damageState(db, 'a', (state) => {
        state.re[2]! *= -1;
      });
      const report = await verify(db, artifact);
      expect(report).toMatchObject({
        ...{ passed: false, mismatches: 1, repaired: 0, findings: { same: 1, different: 1 } },
        faults: [{ user: '#a', finding: 'different' }],
        worstState: { user: '#a' },
      });
      expect(report.worstState.error).toBeGreaterThan(FOUND_BY_BOTH.state);
      for (const { error, user } of report.worstQuery) {
        expect(error).toBeGreaterThan(FOUND_BY_BOTH.query);
        expect(user).toBe('#a');
      }
    });

    const damages: [string, string][] = [
      ['an interaction is missing', `DELETE FROM interactions WHERE event_id = 'a4'`],
      [
        'two interactions stand in the other order',
        `UPDATE interactions SET item_id = CASE event_id WHEN 'a3' THEN '${itemIdOf(4)}' ELSE '${itemIdOf(3)}' END
         WHERE event_id IN ('a3', 'a4')`,
      ],
      ['all interactions are missing', `DELETE FROM interactions WHERE user_id = 'a'`],
      [
        'an interaction was stored past the state',
        `INSERT INTO interactions SELECT 'a9', user_id, item_id, type, ts + interval '1 hour', value
         FROM interactions WHERE event_id = 'a0'`,
      ],
      [
        'the row names another newest event',
        `UPDATE user_states SET newest_event_id = 'zz' WHERE user_id = 'a'`,
      ],
    ];
    it.each(damages)('are found when %s', async (_what, sql) => {
      const { artifact } = await twoUsers(2);
      await db.query(sql);
      expect(await verify(db, artifact)).toMatchObject({
        ...{ passed: false, mismatches: 1, findings: { same: 1, different: 1 } },
        faults: [{ user: '#a' }],
      });
    });

    it('that cannot be read are faults, and repairs delete them and the wrong ones only', async () => {
      const { artifact, run } = await twoUsers();
      await run.events({ id: 'c', user: 'c', item: itemIdOf(1), ago: 1 });
      await db.query(`UPDATE user_states SET state = '\\x00' WHERE user_id = 'a'`);
      await damageState(db, 'b', (state) => {
        state.x[0]! += 0.01;
      });
      expect(await verify(db, artifact)).toMatchObject({
        ...{ mismatches: 2, findings: { unreadable: 1, different: 1, same: 1 } },
      });
      expect(await verify(db, artifact, { repair: true })).toMatchObject({
        ...{ passed: false, mismatches: 2, repaired: 2 },
      });
      expect(await verify(db, artifact)).toMatchObject({
        ...{ passed: true, findings: { absent: 2, same: 1 } },
      });
      await run.events(
        { id: 'a6', user: 'a', item: itemIdOf(3), ago: 0 },
        { id: 'b6', user: 'b', item: itemIdOf(3), ago: 0 },
      );
      expect(await verify(db, artifact)).toMatchObject({ passed: true, findings: { same: 3 } });
    });
  });

  describe('to look at', () => {
    it('are all users with events or a state, in pages that repeat and lose none', async () => {
      const { artifact, run } = await twoUsers();
      for (let n = 0; n < 7; n++) await run.events({ id: `u${n}`, user: `user-${n}`, ago: 1 });
      await db.query(`DELETE FROM user_states WHERE user_id IN ('a', 'user-3')`);
      await db.query(`DELETE FROM interactions WHERE user_id IN ('b', 'user-5')`);
      const wanted = ['a', 'b', ...Array.from({ length: 7 }, (_, n) => `user-${n}`)];
      for (const limit of [1, 2, 4, 100]) {
        const seen: string[] = [];
        for (let page = await nextUsers(db, '', limit); page.length > 0;) {
          seen.push(...page);
          page = await nextUsers(db, page.at(-1)!, limit);
        }
        expect(seen).toEqual(wanted);
      }
      const sample = await sampleUsers(db, 5, 3);
      expect(new Set(sample).size).toBe(5);
      expect(await sampleUsers(db, 5, 3)).toEqual(sample);
      expect((await sampleUsers(db, 100, 3)).sort()).toEqual(wanted);
      expect(await sampleUsers(db, 5, 4)).not.toEqual(sample);
      expect((await sampleStates(db, 'v1', 100)).sort()).toEqual(
        wanted.filter((user) => user !== 'a' && user !== 'user-3'),
      );
      expect(await sampleStates(db, 'v2', 100)).toEqual([]);
      expect(await verify(db, artifact, { sample: 4 })).toMatchObject({ users: 4 });
    });
  });

  describe('sampled by the running ingest', () => {
    it('are verified every now and then; a wrong one is counted, logged by hash and deleted', async () => {
      const { artifact } = await twoUsers();
      const lines: unknown[] = [];
      const logger = silentLogger();
      logger.error = ((fields: unknown) => lines.push(fields)) as typeof logger.error;
      const run = await ingestOf(db, [artifact], {
        ...{ settings: { verifyIntervalMs: 2 }, logger },
        hashUser: () => 'hash-of-a-user',
      });
      await run.events({ id: 'c', user: 'c', item: itemIdOf(1), ago: 0 });
      const verified = () => run.metric('rec_states_verified_total');
      await waitFor('some rounds', async () => (await verified()) > 20);
      expect(await run.metric('rec_state_mismatch_total')).toBe(0);
      await damageState(db, 'a', (state) => {
        state.im[1]! += 0.01;
      });
      await waitFor('the alarm', async () => (await run.metric('rec_state_mismatch_total')) > 0);
      await waitFor('the repair', async () => (await verify(db, artifact)).passed);
      await run.ingest.stop();
      expect(await run.metric('rec_state_mismatch_total')).toBe(1);
      expect(lines).toMatchObject([{ user: 'hash-of-a-user', modelVersion: 'v1' }]);
      expect(JSON.stringify(lines)).not.toContain('"a"');
      expect(await verify(db, artifact)).toMatchObject({ findings: { absent: 1, same: 2 } });
    });
  });
});
