/** Limits over two API processes on PostgreSQL: D3 and D5 in short; `npm run test:chaos -- --only D3,D5` is the long form. */
import { DEFAULT_TIERS, type Tier } from '@nestrec/contracts';
import { openPostgres, type Database } from '@nestrec/database';
import { loadConfig, silentLogger } from '@nestrec/runtime';
import { createApiKey, upsertTier } from '@nestrec/storage';
import { apiConfig, runApi, type RunningApi } from '@nestrec/api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call } from '../helpers/api/harness.js';
import { createTestPostgres, postgresMissing } from '../helpers/databases.js';
import type { CreatedDatabase } from '../helpers/postgres-template.js';

const missing = postgresMissing();
const TIER: Tier = {
  ...DEFAULT_TIERS[0]!,
  // A window of 100 s: a slow machine must not reach the next one.
  ...{ name: 'slow', requests_per_second: 1, burst: 100, max_concurrency: null },
};
const WITHIN_MS = 2_000;

describe.skipIf(missing !== null)(`two processes (${missing ?? 'PostgreSQL'})`, () => {
  let created: CreatedDatabase;
  let db: Database;
  const running: RunningApi[] = [];
  const start = () =>
    runApi(
      {
        ...loadConfig(apiConfig, {
          DATABASE_URL: created.url,
          NESTREC_ALLOW_UNSAFE_DURABILITY: 'true',
        }),
        port: 0,
      },
      silentLogger(),
    );
  beforeAll(async () => {
    created = await createTestPostgres();
    db = await openPostgres({ url: created.url, max: 2, allowUnsafeDurability: true });
    running.push(await start(), await start());
    await upsertTier(db, TIER);
  });
  afterAll(async () => {
    for (const api of running) await api.stop();
    await db.close();
    await created.drop();
  });
  const statusOf = async (api: RunningApi, key: string) =>
    (await call(api.url, key, 'GET', '/v1/tiers')).status;
  const burst = async (key: string, count: number) => {
    const statuses = await Promise.all(
      Array.from({ length: count }, (_, i) => statusOf(running[i % 2]!, key)),
    );
    return statuses.filter((status) => status === 200).length;
  };

  it('admit together what one limit allows, and a restart forgives nothing', async () => {
    const { key } = await createApiKey(db, { client: 'c', tier: 'slow', scopes: ['recommend'] });
    const second = await createApiKey(db, { client: 'c', tier: 'slow', scopes: ['recommend'] });
    const admitted = (await burst(key, 150)) + (await burst(second.key, 50));
    // The windows are of the clock: where one ends within the test, the next begins with what is left.
    expect(admitted).toBeLessThanOrEqual(TIER.burst! * 1.05);
    expect(admitted).toBeGreaterThan(TIER.burst! * 0.9);
    await running.pop()!.stop();
    running.push(await start());
    expect(await burst(key, 20)).toBeLessThanOrEqual(TIER.burst! * 1.05 - admitted);
  });

  it(`follow a change of the client's scopes within ${WITHIN_MS} ms`, async () => {
    const { key } = await createApiKey(db, { client: 'd', tier: 'full', scopes: ['admin'] });
    const admin = await createApiKey(db, { client: 'a', tier: 'full', scopes: ['admin'] });
    const listed = async (api: RunningApi) =>
      (await call(api.url, key, 'GET', '/v1/admin/keys')).status;
    expect(await listed(running[1]!)).toBe(200);
    const changed = await call(running[0]!.url, admin.key, 'PUT', '/v1/admin/clients/d', {
      body: { scopes: ['recommend'] },
    });
    expect(changed.status).toBe(200);
    const changedAtMs = performance.now();
    expect(await listed(running[0]!)).toBe(403);
    await expect.poll(() => listed(running[1]!), { timeout: 10_000, interval: 20 }).toBe(403);
    expect(performance.now() - changedAtMs).toBeLessThan(WITHIN_MS);
  });

  it('limit by themselves while the store is away', async () => {
    const { key } = await createApiKey(db, { client: 'e', tier: 'slow', scopes: ['recommend'] });
    await db.execute('ALTER TABLE rate_limits RENAME TO rate_limits_away');
    const admitted = await burst(key, 300);
    await db.execute('ALTER TABLE rate_limits_away RENAME TO rate_limits');
    expect(admitted).toBeGreaterThan(TIER.burst!);
    expect(admitted).toBeLessThanOrEqual(TIER.burst! * 2);
    const metrics = await call(running[0]!.url, null, 'GET', '/metrics');
    expect(metrics.text).toMatch(/rec_rate_limit_store_failures_total [1-9]/);
  });
});
