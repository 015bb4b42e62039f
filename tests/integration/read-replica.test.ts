/**
 * Recommendations from a streaming replica: real PostgreSQL, primary and standby. What is read there is whole, a
 * token waits for what the standby has replayed, and without it the primary answers.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { apiConfig, runApi, type RunningApi } from '@nestrec/api';
import { createClient, type NestrecClient } from '@nestrec/client';
import { migrate, openPostgres, type Database } from '@nestrec/database';
import { openEmbeddedLog } from '@nestrec/event-log';
import { createIngest } from '@nestrec/ingest';
import { createMetrics, loadConfig, silentLogger, systemClock } from '@nestrec/runtime';
import { createApiKey, ensureDefaultTiers } from '@nestrec/storage';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { postgresMissing } from '../helpers/databases.js';
import { startPostgres, startStandby, type PostgresServer } from '../helpers/postgres-server.js';
import { createDatabase } from '../helpers/postgres-template.js';
import { lastingPort } from '../helpers/processes.js';
import { itemIdOf } from '../helpers/published-artifact.js';
import { publishModel } from '../helpers/published-model.js';
import { waitFor } from '../helpers/wait-for.js';

const LONG_MS = 60_000;
const missing = postgresMissing();

describe.skipIf(missing !== null)(`an API with a replica${missing ?? ''}`, () => {
  const ends: (() => Promise<unknown>)[] = [];
  let db: Database;
  let standby: PostgresServer;
  let onStandby: Database;
  let folder: string;
  let api: RunningApi;
  let client: NestrecClient;

  beforeAll(async () => {
    const primary = await startPostgres();
    ends.unshift(() => primary.stop());
    const created = await createDatabase(primary.url);
    db = await openPostgres({ url: created.url, max: 6 });
    ends.unshift(() => db.close());
    folder = await mkdtemp(join(tmpdir(), 'nestrec-replica-'));
    ends.unshift(() => rm(folder, { recursive: true, force: true }));
    await migrate(db);
    await ensureDefaultTiers(db);
    await publishModel(db, folder, { version: 'v1' });
    standby = await startStandby(primary);
    ends.unshift(() => standby.stop());
    const readUrl = new URL(standby.url);
    readUrl.pathname = new URL(created.url).pathname;
    onStandby = await openPostgres({ url: readUrl.href, max: 2, replica: true });
    ends.unshift(() => onStandby.close());

    const log = openEmbeddedLog(db, { logger: silentLogger(), pollIntervalMs: 20 });
    const ingest = createIngest({
      ...{ db, log, clock: systemClock, logger: silentLogger(), metrics: createMetrics() },
    });
    ends.unshift(() => log.close());
    ends.unshift(() => ingest.stop());
    await ingest.start();
    const env = {
      DATABASE_URL: created.url,
      NESTREC_READ_DATABASE_URL: readUrl.href,
      PORT: String(await lastingPort()),
    };
    api = await runApi(loadConfig(apiConfig, env), silentLogger());
    ends.unshift(() => api.stop());
    const { key } = await createApiKey(db, {
      ...{ client: 'test', tier: 'full', scopes: ['events:write', 'recommend', 'admin'] },
    });
    client = createClient({ url: api.url, key });
  });
  afterAll(async () => {
    for (const end of ends) await end();
  });

  /** Empty where a check took too long on a busy machine. */
  const readsFrom = async () =>
    (await client.readiness().catch(() => null))?.checks['reads']?.detail ?? '';
  const eventsOf = async (user: string) =>
    (await client.recommend(user, { k: 5 })).served_by.events_in_state;

  it('reads lists from the replica, and says so', async () => {
    await waitFor('the replica', async () => /from the replica/.test(await readsFrom()), LONG_MS);
    const { token } = await client.sendEvents([{ user_id: 'ann', item_id: itemIdOf(1) }]);
    const answer = await client.recommend('ann', { k: 5, after: token }, { retries: 20 });
    expect(answer.served_by).toMatchObject({ model_version: 'v1', events_in_state: 1 });
  });

  it('with a token never answers from before it, however far the replica is behind', async () => {
    await onStandby.query('SELECT pg_wal_replay_pause()');
    try {
      const { token } = await client.sendEvents([{ user_id: 'ann', item_id: itemIdOf(2) }]);
      const isApplied = async () => {
        const { rows } = await db.query<{ events: number }>(
          `SELECT events_in_state AS events FROM user_states WHERE user_id = 'ann'`,
        );
        return rows[0]?.events === 2;
      };
      await waitFor('ingest', isApplied, LONG_MS);
      // Without the token: what the replica shows.
      expect(await eventsOf('ann')).toBe(1);
      await expect(client.recommend('ann', { after: token }, { retries: 0 })).rejects.toMatchObject(
        { code: 'state_not_ready', status: 503 },
      );
      const waiting = client.recommend('ann', { after: token }, { retries: 20 });
      await onStandby.query('SELECT pg_wal_replay_resume()');
      expect((await waiting).served_by.events_in_state).toBe(2);
    } finally {
      await onStandby.query('SELECT pg_wal_replay_resume()');
    }
  });

  it('serves a version only when the replica has all of it', async () => {
    await onStandby.query('SELECT pg_wal_replay_pause()');
    await publishModel(db, folder, { version: 'v2', seed: 2 });
    for (let n = 0; n < 5; n++) {
      expect((await client.recommend('ann', { k: 5 })).served_by.model_version).toBe('v1');
    }
    await onStandby.query('SELECT pg_wal_replay_resume()');
    await waitFor(
      'the new version',
      async () => {
        const { served_by, items } = await client.recommend('ann', { k: 5 });
        expect(items).toHaveLength(5);
        return served_by.model_version === 'v2';
      },
      LONG_MS,
    );
  });

  it('without the replica goes on from the primary, and comes back to it', async () => {
    await standby.kill();
    const { token } = await client.sendEvents([{ user_id: 'ann', item_id: itemIdOf(3) }]);
    const answer = await client.recommend('ann', { k: 5, after: token }, { retries: 20 });
    expect(answer.served_by.events_in_state).toBe(3);
    await waitFor(
      'word of it',
      async () => /from the primary; .*does not answer/.test(await readsFrom()),
      LONG_MS,
    );
    await standby.start();
    await waitFor(
      'reads from the replica',
      async () => {
        await client.recommend('ann', { k: 5 });
        return /from the replica/.test(await readsFrom());
      },
      LONG_MS,
    );
    expect(await eventsOf('ann')).toBe(3);
  });
});
