/**
 * Production as it runs: the API and ingest as services of their own, over real PostgreSQL and real Kafka. An
 * event goes in by HTTP, through the topic into the state, and changes the answer; and what each service says
 * when the broker goes.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { apiConfig, runApi, type RunningApi } from '@nestrec/api';
import { openPostgres, type Database } from '@nestrec/database';
import { ingestConfig, runIngest, type RunningIngest } from '@nestrec/ingest';
import { loadConfig, silentLogger } from '@nestrec/runtime';
import { createApiKey, ensureDefaultTiers } from '@nestrec/storage';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kafkaMissing } from '../helpers/brokers.js';
import { createTestPostgres, postgresMissing } from '../helpers/databases.js';
import { startKafka, type KafkaServer } from '../helpers/kafka-server.js';
import { lastingPort } from '../helpers/processes.js';
import { publishModel } from '../helpers/published-model.js';
import { waitFor } from '../helpers/wait-for.js';

const LONG_MS = 90_000;
const missing = postgresMissing() ?? kafkaMissing();

describe.skipIf(missing !== null)(`api and ingest over Kafka${missing ?? ''}`, () => {
  const ends: (() => Promise<unknown>)[] = [];
  let kafka: KafkaServer;
  let db: Database;
  let api: RunningApi;
  let ingest: RunningIngest;
  let key: string;
  let ingestEnv: Record<string, string>;

  beforeAll(async () => {
    const created = await createTestPostgres();
    ends.unshift(() => created.drop());
    db = await openPostgres({ url: created.url, max: 2, allowUnsafeDurability: true });
    ends.unshift(() => db.close());
    const folder = await mkdtemp(join(tmpdir(), 'nestrec-stream-'));
    ends.unshift(() => rm(folder, { recursive: true, force: true }));
    kafka = await startKafka();
    ends.unshift(() => kafka.stop());
    await ensureDefaultTiers(db);
    await publishModel(db, folder, { version: 'v1' });
    const scopes = ['events:write', 'recommend'] as const;
    ({ key } = await createApiKey(db, { client: 'test', tier: 'full', scopes }));
    const common = {
      ...{ DATABASE_URL: created.url, KAFKA_BROKERS: kafka.brokers, KAFKA_PARTITIONS: '2' },
      ...{ NESTREC_ALLOW_UNSAFE_DURABILITY: 'true', KAFKA_SESSION_TIMEOUT: '6s' },
    };
    ingestEnv = { ...common, NESTREC_INGEST_PORT: String(await lastingPort()) };
    ingest = await runIngest(loadConfig(ingestConfig, ingestEnv), silentLogger());
    ends.unshift(() => ingest.stop());
    const apiEnv = { ...common, PORT: String(await lastingPort()) };
    api = await runApi(loadConfig(apiConfig, apiEnv), silentLogger());
    ends.unshift(() => api.stop());
    await waitFor(
      'ingest to be ready',
      async () => (await probe('/readyz')).status === 200,
      LONG_MS,
    );
  });
  afterAll(async () => {
    for (const end of ends) await end();
  });

  const probe = (path: string) => fetch(`${ingest.url}${path}`);
  const headers = () => ({ authorization: `Bearer ${key}`, 'content-type': 'application/json' });
  const post = (events: object[]) =>
    fetch(`${api.url}/v1/events`, {
      ...{ method: 'POST', headers: headers(), body: JSON.stringify({ events }) },
    });
  const recommend = async (user: string, query = '') => {
    const url = `${api.url}/v1/users/${user}/recommendations?k=5${query}`;
    const answer = await fetch(url, { headers: headers() });
    return { status: answer.status, body: (await answer.json()) as Record<string, never> };
  };
  const metric = async (name: string) => {
    const lines = (await (await probe('/metrics')).text()).split('\n');
    return lines
      .filter((line) => line.startsWith(name) && !line.startsWith('#'))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  };

  it('an event posted is in the answer that waits for it, event after event', async () => {
    const before = await recommend('ann');
    for (const [n, item] of ['i0001', 'i0002', 'i0003'].entries()) {
      const accepted = await post([{ user_id: 'ann', item_id: item }]);
      expect(accepted.status).toBe(202);
      const { token } = (await accepted.json()) as { token: string };
      const answer = await recommend('ann', `&after=${token}`);
      expect(answer.status).toBe(200);
      expect(answer.body['served_by']).toMatchObject({
        personalised: true,
        events_in_state: n + 1,
      });
    }
    expect((await recommend('ann')).body['items']).not.toEqual(before.body['items']);
  });

  it('a token of many users waits for all their partitions', async () => {
    const users = Array.from({ length: 20 }, (_, n) => `user-${n}`);
    const accepted = await post(users.map((user_id) => ({ user_id, item_id: 'i0004' })));
    const { token } = (await accepted.json()) as { token: string };
    await recommend('user-0', `&after=${token}`);
    const { rows } = await db.query<{ states: bigint }>(
      `SELECT count(*) AS states FROM user_states WHERE user_id LIKE 'user-%'`,
    );
    expect(rows[0]!.states).toBe(20n);
  });

  it('ingest shows health, readiness and metrics, and nothing else', async () => {
    expect((await probe('/healthz')).status).toBe(200);
    expect((await probe('/anything')).status).toBe(404);
    expect(await metric('rec_events_applied_total')).toBeGreaterThanOrEqual(23);
    expect(await metric('rec_event_to_state_seconds_count')).toBeGreaterThanOrEqual(23);
  });

  it('without the broker intake is 503 within two seconds, recommendations go on, and all comes back', async () => {
    await kafka.kill();
    for (let attempt = 0; attempt < 3; attempt++) {
      const startMs = performance.now();
      const [intake, answer] = await Promise.all([
        post([{ user_id: 'bob', item_id: 'i0001', event_id: 'lost?' }]),
        recommend('ann'),
      ]);
      expect([intake.status, answer.status]).toEqual([503, 200]);
      expect(intake.headers.get('retry-after')).not.toBeNull();
      expect(performance.now() - startMs).toBeLessThan(2_500);
    }
    await waitFor('ingest to say so', async () => (await probe('/readyz')).status === 503, LONG_MS);
    expect((await probe('/healthz')).status).toBe(200);
    await kafka.start();
    const event = { user_id: 'bob', item_id: 'i0001', event_id: 'b1' };
    await waitFor('intake', async () => (await post([event])).status === 202, LONG_MS);
    await waitFor('ingest', async () => (await probe('/readyz')).status === 200, LONG_MS);
    await waitFor(
      'the state',
      async () => {
        const { rowCount } = await db.query(`SELECT FROM user_states WHERE user_id = 'bob'`);
        return rowCount === 1;
      },
      LONG_MS,
    );
  });

  it('a second ingest takes over when the first stops, and nothing is applied twice', async () => {
    const env = { ...ingestEnv, NESTREC_INGEST_PORT: String(await lastingPort()) };
    const second = await runIngest(loadConfig(ingestConfig, env), silentLogger());
    ends.unshift(() => second.stop());
    const ids = Array.from({ length: 200 }, (_, n) => `handover-${n}`);
    const event = (n: number) => ({ user_id: `h${n % 10}`, item_id: 'i0005', event_id: ids[n]! });
    expect((await post(ids.slice(0, 100).map((_, n) => event(n)))).status).toBe(202);
    await ingest.stop();
    expect((await post(ids.slice(100).map((_, n) => event(100 + n)))).status).toBe(202);
    const stored = async () => {
      const { rows } = await db.query<{ events: bigint; folded: bigint }>(
        `SELECT (SELECT count(*) FROM interactions WHERE event_id LIKE 'handover-%') AS events,
                (SELECT sum(events_in_state) FROM user_states WHERE user_id ~ '^h[0-9]$') AS folded`,
      );
      return rows[0]!;
    };
    await waitFor('200 events', async () => (await stored()).events === 200n, LONG_MS);
    expect((await stored()).folded).toBe(200n);
  });
});
