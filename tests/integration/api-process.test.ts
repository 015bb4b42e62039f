/** The API as processes of its own over PostgreSQL: start, two of them at once, stop. */
import { openPostgres, type Database } from '@nestrec/database';
import { isError, InvalidConfig } from '@nestrec/errors';
import { loadConfig, silentLogger } from '@nestrec/runtime';
import { createApiKey } from '@nestrec/storage';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { apiConfig, DEFAULT_API_SETTINGS, runApi, type RunningApi } from '@nestrec/api';
import { call } from '../helpers/api/harness.js';
import { createTestPostgres, postgresMissing } from '../helpers/databases.js';
import type { CreatedDatabase } from '../helpers/postgres-template.js';

const REVOKED_WITHIN_MS = 2_000;
const missing = postgresMissing();

it('refuses to start without a database, and says which setting is absent', async () => {
  const config = loadConfig(apiConfig, {});
  const error: unknown = await runApi(config, silentLogger()).catch((thrown: unknown) => thrown);
  expect(isError(error, InvalidConfig)).toBe(true);
  expect((error as Error).message).toContain('DATABASE_URL');
});

describe.skipIf(missing !== null)(`two processes (${missing ?? 'PostgreSQL'})`, () => {
  let created: CreatedDatabase;
  let db: Database;
  const running: RunningApi[] = [];
  beforeAll(async () => {
    created = await createTestPostgres();
    db = await openPostgres({ url: created.url, max: 2, allowUnsafeDurability: true });
    const config = {
      ...loadConfig(apiConfig, {
        DATABASE_URL: created.url,
        // The servers of tests do without fsync.
        NESTREC_ALLOW_UNSAFE_DURABILITY: 'true',
      }),
      port: 0,
    };
    running.push(await runApi(config, silentLogger()), await runApi(config, silentLogger()));
  });
  afterAll(async () => {
    for (const api of running) await api.stop();
    await db.close();
    await created.drop();
  });

  it('are alive, and not ready while no model is published', async () => {
    for (const { url } of running) {
      expect((await call(url, null, 'GET', '/healthz')).status).toBe(200);
      const ready = await call(url, null, 'GET', '/readyz');
      expect(ready.status).toBe(503);
      expect(ready.json).toMatchObject({ checks: { model: { ok: false }, gate: { ok: true } } });
    }
  });

  it(`a key that one revokes is refused by the other within ${REVOKED_WITHIN_MS} ms`, async () => {
    expect(DEFAULT_API_SETTINGS.keyCacheMs).toBeLessThan(REVOKED_WITHIN_MS);
    const [one, other] = running;
    const admin = await createApiKey(db, { client: 'a', tier: 'full', scopes: ['admin'] });
    const client = await createApiKey(db, { client: 'c', tier: 'full', scopes: ['recommend'] });
    const statusAt = async (api: RunningApi) =>
      (await call(api.url, client.key, 'GET', '/v1/tiers')).status;
    expect(await statusAt(other!)).toBe(200);
    const path = `/v1/admin/keys/${client.publicId}`;
    expect((await call(one!.url, admin.key, 'DELETE', path)).status).toBe(204);
    const revokedAtMs = performance.now();
    expect(await statusAt(one!)).toBe(401);
    await expect.poll(() => statusAt(other!), { timeout: 10_000, interval: 20 }).toBe(401);
    expect(performance.now() - revokedAtMs).toBeLessThan(REVOKED_WITHIN_MS);
  });

  it('events sent to one wait in the log for ingest, and after says that they are not applied', async () => {
    const { key } = await createApiKey(db, {
      client: 'p',
      tier: 'full',
      scopes: ['events:write', 'recommend'],
    });
    const body = { events: [{ user_id: 'u', item_id: 'i' }] };
    const sent = await call(running[0]!.url, key, 'POST', '/v1/events', { body });
    expect(sent.status).toBe(202);
    const { token } = sent.json as { token: string };
    const path = `/v1/users/u/recommendations?after=${token}`;
    const answer = await call(running[1]!.url, key, 'GET', path);
    expect(answer.json).toMatchObject({ status: 503, code: 'state_not_ready' });
  });
});
