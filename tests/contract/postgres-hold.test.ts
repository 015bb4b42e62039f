/** Locks held on PostgreSQL when the network goes: whoever is cut off learns of it, and need not wait for ever. */
import { createRandom } from '@nestrec/random';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { holdOnPostgres } from '../../packages/database/src/postgres-hold.js';
import { startProxy, type TcpProxy } from '../chaos/harness/proxy.js';
import { createTestPostgres, postgresMissing } from '../helpers/databases.js';
import type { CreatedDatabase } from '../helpers/postgres-template.js';
import { waitFor } from '../helpers/wait-for.js';

const missing = postgresMissing();

describe.skipIf(missing !== null)(`a lock held over a network that is cut${missing ?? ''}`, () => {
  let created: CreatedDatabase;
  let proxy: TcpProxy;
  beforeEach(async () => {
    created = await createTestPostgres();
    proxy = await startProxy(Number(new URL(created.url).port), createRandom(1));
  });
  afterEach(async () => {
    await proxy.stop();
    await created.drop();
  });
  const take = async () => {
    const url = new URL(created.url);
    url.hostname = '127.0.0.1';
    url.port = String(proxy.port);
    const held = await holdOnPostgres(
      { url: url.href, connectionTimeoutMs: 5_000, answerTimeoutMs: 300 },
      1,
      'cut off',
    );
    if ('heldBy' in held) throw new Error(`held by ${held.heldBy}`);
    return held;
  };

  it('counts as lost when a sign of life gets no answer, and its release ends', async () => {
    const held = await take();
    expect(held.lost).toBe(false);
    await proxy.set({ silent: true });
    await waitFor('the cut to be noticed', () => held.lost);
    await held.release();
  });

  it('is released within a moment where nothing was noticed yet', async () => {
    const held = await take();
    await proxy.set({ silent: true });
    const startedMs = performance.now();
    await held.release();
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });
});
