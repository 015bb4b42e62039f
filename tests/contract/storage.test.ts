/** User states, positions, rejects, tiers, keys, versions: the repositories on both databases. */
import { DEFAULT_TIERS, type Manifest, type Tier } from '@nestrec/contracts';
import { ClientNotFound, InvalidParameter, TierInUse, TooManyKeys } from '@nestrec/errors';
import { createRandom } from '@nestrec/random';
import * as storage from '@nestrec/storage';
import { beforeEach, describe, expect, it } from 'vitest';
import { createSharedClaims } from '../../services/api/src/limits/claim-store.js';
import { describeDatabases } from '../helpers/databases.js';

const manifest = (version: string) => ({ version, sizes: [8, 16] }) as unknown as Manifest;

const state = (userId: string, change: Partial<storage.UserState> = {}): storage.UserState => ({
  userId,
  modelVersion: 'v1',
  state: new Uint8Array([1, 0, 255]),
  lastItemId: 'i1',
  eventsInState: 3,
  unknownEvents: 1,
  edits: 2,
  newestTimestampMs: Date.UTC(2026, 0, 1, 0, 0, 0, 123),
  newestEventId: 'e9',
  vectorsRevision: 0n,
  ...change,
});
const stored = (one: storage.UserState) => ({ ...one, vectorsStale: false });

describeDatabases('user states', (database) => {
  beforeEach(() => database().execute('TRUNCATE user_states'));

  it('gives states back bit by bit, empty ones included', async () => {
    const db = database();
    const empty = state('u2', {
      state: new Uint8Array(),
      lastItemId: null,
      eventsInState: 0,
      newestTimestampMs: null,
      newestEventId: null,
    });
    await storage.upsertUserStates(db, [state('u1'), empty]);
    expect(await storage.getUserState(db, 'u1')).toEqual(stored(state('u1')));
    expect(await storage.getUserStates(db, ['u2', 'absent'])).toEqual(
      new Map([['u2', stored(empty)]]),
    );
    expect(await storage.getUserState(db, 'absent')).toBeNull();
  });

  it('replaces states; of several of one user the last counts', async () => {
    const db = database();
    await storage.upsertUserStates(db, [state('u1'), state('u1', { edits: 9 })]);
    await storage.upsertUserStates(db, [state('u1', { edits: 10, state: new Uint8Array([7]) })]);
    expect(await storage.getUserState(db, 'u1')).toEqual(
      stored(state('u1', { edits: 10, state: new Uint8Array([7]) })),
    );
    await storage.upsertUserStates(db, []);
  });

  it('keeps states of different lengths apart when they are written together', async () => {
    const db = database();
    const of = (length: number) => Uint8Array.from({ length }, (_, i) => (7 * i + length) % 256);
    const states = [300, 0, 1, 9_000, 4_096].map((length, i) =>
      state(`u${9 - i}`, { state: of(length) }),
    );
    await storage.upsertUserStates(db, states);
    const found = await storage.getUserStates(
      db,
      states.map((s) => s.userId),
    );
    for (const one of states) expect(found.get(one.userId)).toEqual(stored(one));
  });

  it('keep a state of 256 coordinates in its row, also when it is rewritten (decision 0018)', async () => {
    const db = database();
    const random = createRandom(1);
    const noise = () => Uint8Array.from({ length: 3_092 }, () => random.int(256));
    const users = ['a', 'b', 'c', 'd'];
    for (let round = 0; round < 3; round++) {
      await storage.upsertUserStates(
        db,
        users.map((u) => state(u, { state: noise() })),
      );
    }
    const { rows } = await db.query<{ outside: bigint }>(
      `SELECT pg_relation_size(reltoastrelid) AS outside FROM pg_class WHERE relname = 'user_states'`,
    );
    expect(rows[0]!.outside).toBe(0n);
  });

  it('loses no increment of writers that lock the same users in different orders', async () => {
    const db = database();
    const users = ['a', 'b', 'c', 'd'];
    await storage.upsertUserStates(
      db,
      users.map((u) => state(u, { eventsInState: 0 })),
    );
    await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        db.transaction(async (tx) => {
          const order = i % 2 === 0 ? users : [...users].reverse();
          const locked = await storage.lockUserStates(tx, order);
          const next = order.map((u) => ({
            ...locked.get(u)!,
            eventsInState: locked.get(u)!.eventsInState + 1,
          }));
          await storage.upsertUserStates(tx, next);
        }),
      ),
    );
    const after = await storage.getUserStates(db, users);
    expect(users.map((u) => after.get(u)!.eventsInState)).toEqual([20, 20, 20, 20]);
  });

  it('streams all of them in order, and deletes some', async () => {
    const db = database();
    await storage.upsertUserStates(
      db,
      ['c', 'a', 'b'].map((u) => state(u)),
    );
    const seen: string[] = [];
    for await (const batch of storage.streamUserStates(db, 2)) {
      seen.push(...batch.map((s) => s.userId));
    }
    expect(seen).toEqual(['a', 'b', 'c']);
    expect(await storage.deleteUserStates(db, ['a', 'c', 'absent'])).toBe(2);
  });

  it('reads the states of 70,000 users in one call', async () => {
    await storage.upsertUserStates(database(), [state('u69999')]);
    const many = Array.from({ length: 70_000 }, (_, i) => `u${i}`);
    expect((await storage.getUserStates(database(), many)).size).toBe(1);
  });
});

describeDatabases('positions and rejects', (database) => {
  beforeEach(() => database().execute('TRUNCATE consumer_positions, rejects'));

  it('starts at offset 0 and keeps what is saved in the transaction', async () => {
    const db = database();
    const position = { topic: 't', partition: 1, nextOffset: 2n ** 60n, fingerprint: 'abc' };
    await db.transaction(async (tx) => {
      expect(await storage.lockPosition(tx, 't', 1)).toEqual({
        topic: 't',
        partition: 1,
        nextOffset: 0n,
        fingerprint: null,
      });
      await storage.savePosition(tx, position);
    });
    await db
      .transaction(async (tx) => {
        await storage.savePosition(tx, { ...position, nextOffset: 1n });
        throw new Error('roll back');
      })
      .catch(() => undefined);
    expect(await storage.getPositions(db, 't')).toEqual(new Map([[1, position]]));
    expect(await storage.getPositions(db, 'other')).toEqual(new Map());
  });

  it('lets one writer at a time move a position, from the very first', async () => {
    const db = database();
    await Promise.all(
      Array.from({ length: 12 }, () =>
        db.transaction(async (tx) => {
          const position = await storage.lockPosition(tx, 't', 0);
          await storage.savePosition(tx, { ...position, nextOffset: position.nextOffset + 1n });
        }),
      ),
    );
    expect((await storage.getPositions(db, 't')).get(0)!.nextOffset).toBe(12n);
  });

  it('keeps a reject once, with its bytes, whatever its key and detail hold', async () => {
    const db = database();
    const reject: storage.Reject = {
      topic: 't',
      partition: 0,
      offset: 5n,
      part: 0,
      reason: 'invalid_json',
      detail: 'NUL \u0000 and surrogate \ud800',
      key: 'k\u0000',
      value: new Uint8Array([0, 255]),
    };
    const empty = { ...reject, part: 1, reason: 'empty', key: null, value: null };
    expect(await storage.insertRejects(db, [reject, empty])).toBe(2);
    expect(await storage.insertRejects(db, [reject])).toBe(0);
    expect(await storage.insertRejects(db, [])).toBe(0);
    const [stored] = await storage.listRejects(db, { reason: 'invalid_json' });
    expect(stored).toMatchObject({
      offset: 5n,
      detail: 'NUL � and surrogate �',
      key: 'k\u0000',
      keyBytes: new Uint8Array([0x6b, 0]),
      value: new Uint8Array([0, 255]),
    });
    expect(await storage.listRejects(db, { limit: 1 })).toHaveLength(1);
    expect(await storage.countRejectsByReason(db)).toEqual(
      new Map([
        ['empty', 1n],
        ['invalid_json', 1n],
      ]),
    );
  });
});

describeDatabases('tiers and keys', (database) => {
  beforeEach(async () => {
    await database().execute('TRUNCATE tiers CASCADE');
    await storage.ensureDefaultTiers(database());
  });
  const tier = (name: string) => DEFAULT_TIERS.find((one) => one.name === name)!;
  const newKey = { client: 'shop', tier: 'full', scopes: ['recommend', 'admin'] as const };

  it('adds the default tiers once, and never undoes a change to them', async () => {
    const db = database();
    expect(await storage.listTiers(db)).toEqual([...DEFAULT_TIERS]);
    const limits = { max_dim: 8, max_k: 5, burst: null, exit_blocks: 2 };
    const changed: Tier = { ...tier('basic'), ...limits, plan: 'staged' };
    expect(await storage.upsertTier(db, changed)).toBe(false);
    expect(await storage.upsertTier(db, { ...changed, name: 'new', max_dim: 9 })).toBe(true);
    await Promise.all([storage.ensureDefaultTiers(db), storage.ensureDefaultTiers(db)]);
    expect((await storage.listTiers(db)).slice(0, 2)).toEqual([
      changed,
      { ...changed, name: 'new', max_dim: 9 },
    ]);
  });

  it('finds a key by its text, with the tier as it is now', async () => {
    const db = database();
    const { key, publicId } = await storage.createApiKey(db, newKey);
    const changed: Tier = { ...tier('full'), max_dim: 32, max_k: 7, overload: 'refuse' };
    await storage.upsertTier(db, changed);
    expect(await storage.findApiKey(db, key, Date.now())).toMatchObject({
      outcome: 'valid',
      key: {
        publicId,
        client: 'shop',
        tier: changed,
        scopes: ['recommend', 'admin'],
        expiresAtMs: null,
        revokedAtMs: null,
      },
    });
  });

  it('never stores the key itself', async () => {
    const { key } = await storage.createApiKey(database(), newKey);
    const { rows } = await database().query('SELECT k::text FROM api_keys k');
    expect(JSON.stringify(rows)).not.toContain(key.slice(19));
  });

  it('turns away malformed, unknown, expired and revoked keys', async () => {
    const db = database();
    const outcome = async (key: string, nowMs: number) =>
      (await storage.findApiKey(db, key, nowMs)).outcome;
    const { key, publicId } = await storage.createApiKey(db, { ...newKey, expiresAtMs: 1_000 });
    expect(await outcome(key, 999)).toBe('valid');
    expect(await outcome(key, 1_000)).toBe('expired');
    expect(await outcome(storage.generateApiKey().key, 0)).toBe('unknown');
    for (const bad of ['', 'rk_live_', `${key}x`, key.toLowerCase(), key.slice(0, -1), '\u0000']) {
      expect(await outcome(bad, 0)).toBe('malformed');
    }
    expect(await storage.revokeApiKey(db, publicId)).toBe(true);
    const revokedAt = (await storage.listApiKeys(db))[0]!.revokedAtMs;
    expect(await storage.revokeApiKey(db, publicId)).toBe(true);
    expect((await storage.listApiKeys(db))[0]!.revokedAtMs).toBe(revokedAt);
    expect(await outcome(key, 0)).toBe('revoked');
    expect(await storage.revokeApiKey(db, 'absent')).toBe(false);
  });

  it('refuses a secret that does not belong to the public id', async () => {
    const db = database();
    const { key } = await storage.createApiKey(db, newKey);
    await db.query('UPDATE api_keys SET hash = $1', [storage.hashApiKey('another')]);
    expect((await storage.findApiKey(db, key, 0)).outcome).toBe('unknown');
  });

  it('makes no key for a tier that does not exist', async () => {
    await expect(
      storage.createApiKey(database(), { ...newKey, tier: 'nope' }),
    ).rejects.toMatchObject({ code: InvalidParameter.code });
    expect(await storage.listApiKeys(database())).toEqual([]);
  });

  it('lets a client have two keys that work, and says how to get a third', async () => {
    const db = database();
    const made = await Promise.allSettled([1, 2, 3].map(() => storage.createApiKey(db, newKey)));
    const refused = made.find((one) => one.status === 'rejected');
    expect(made.filter((one) => one.status === 'fulfilled')).toHaveLength(2);
    expect(refused?.reason).toMatchObject({
      code: TooManyKeys.code,
      detail: expect.stringContaining('revoke one') as string,
    });
    const [first] = await storage.listApiKeys(db);
    await storage.revokeApiKey(db, first!.publicId);
    await storage.createApiKey(db, newKey);
    await storage.createApiKey(db, { ...newKey, client: 'other' });
  });

  it('keeps the keys of a client in one tier', async () => {
    const db = database();
    await storage.createApiKey(db, newKey);
    await expect(storage.createApiKey(db, { ...newKey, tier: 'basic' })).rejects.toMatchObject({
      code: InvalidParameter.code,
    });
    const changed = await storage.changeClient(db, 'shop', {
      tier: 'basic',
      scopes: ['recommend'],
    });
    expect(changed).toMatchObject([{ tier: tier('basic'), scopes: ['recommend'] }]);
    await expect(storage.changeClient(db, 'shop', { tier: 'nope' })).rejects.toMatchObject({
      code: InvalidParameter.code,
    });
    await expect(storage.changeClient(db, 'nobody', { tier: 'full' })).rejects.toMatchObject({
      code: ClientNotFound.code,
    });
  });

  it('rotates a key: the new one is like it, and it ends after the overlap', async () => {
    const db = database();
    const old = await storage.createApiKey(db, newKey);
    const fresh = await storage.rotateApiKey(db, { client: 'shop', overlapMs: 3_600_000 });
    expect(fresh.replaced).toBe(old.publicId);
    const nowMs = Date.now();
    const outcome = async (key: string, atMs: number) =>
      (await storage.findApiKey(db, key, atMs)).outcome;
    expect(await outcome(old.key, nowMs)).toBe('valid');
    expect(await outcome(old.key, nowMs + 3_660_000)).toBe('expired');
    expect(await storage.findApiKey(db, fresh.key, nowMs)).toMatchObject({
      key: { client: 'shop', tier: tier('full'), scopes: newKey.scopes, expiresAtMs: null },
    });
    await expect(storage.rotateApiKey(db, { client: 'shop', overlapMs: 0 })).rejects.toMatchObject({
      code: TooManyKeys.code,
    });
    await expect(
      storage.rotateApiKey(db, { client: 'nobody', overlapMs: 0 }),
    ).rejects.toMatchObject({ code: ClientNotFound.code });
  });

  it('a key that was given for a time is replaced by one for the same time', async () => {
    const db = database();
    const expiresAtMs = Date.now() + 600_000;
    await storage.createApiKey(db, { ...newKey, expiresAtMs });
    const fresh = await storage.rotateApiKey(db, { client: 'shop', overlapMs: 3_600_000 });
    expect(await storage.findApiKey(db, fresh.key, Date.now())).toMatchObject({
      key: { expiresAtMs },
    });
  });

  it('removes a tier only when no key that works has it', async () => {
    const db = database();
    const { publicId } = await storage.createApiKey(db, newKey);
    await expect(storage.removeTier(db, 'full')).rejects.toMatchObject({
      code: TierInUse.code,
      detail: expect.stringContaining('shop') as string,
    });
    await storage.revokeApiKey(db, publicId);
    expect(await storage.removeTier(db, 'full')).toBe(true);
    expect(await storage.removeTier(db, 'full')).toBe(false);
    expect(await storage.listTiers(db)).toHaveLength(2);
  });

  it('notes when a key was used', async () => {
    const db = database();
    const { publicId } = await storage.createApiKey(db, newKey);
    expect((await storage.listApiKeys(db))[0]!.lastUsedAtMs).toBeNull();
    await storage.touchApiKey(db, publicId);
    expect((await storage.listApiKeys(db))[0]!.lastUsedAtMs).toBeGreaterThan(0);
  });

  it('counts claims of rate by key and window, and forgets them with their windows', async () => {
    const db = database();
    const claims = createSharedClaims(db);
    const other = createSharedClaims(db);
    const index = Math.floor(Date.now() / 60_000);
    const window = { key: `client:${index}`, windowMs: 60_000, index };
    expect(await claims.read(window)).toBe(0);
    expect(await claims.add(window, 5)).toBe(5);
    expect(await other.add(window, 7)).toBe(12);
    expect(await claims.add(window, -2)).toBe(10);
    expect(await other.read(window)).toBe(10);
    expect(await other.read({ ...window, index: index - 1 })).toBe(0);
    // The row of a window that is over is the next one's that uses it.
    await db.query('UPDATE rate_limits SET expire = 1');
    expect(await claims.add(window, 3)).toBe(3);
  });
});

describeDatabases('model versions', (database) => {
  beforeEach(async () => {
    await database().execute('TRUNCATE model_versions CASCADE');
    for (const version of ['a', 'b', 'c']) {
      await storage.registerVersion(database(), {
        version,
        manifest: manifest(version),
        path: `/models/${version}`,
      });
    }
  });
  const statuses = async () =>
    Object.fromEntries((await storage.listVersions(database())).map((v) => [v.version, v.status]));

  it('registers candidates and gives their manifest back', async () => {
    const db = database();
    const index = { kind: 'vector', metric: 'inner_product', name: 'i', bytes: 1 } as const;
    const built = { ...index, m: 16, efConstruction: 100, buildMs: 2 };
    const indexes = [8, 16].map((dim) => ({ ...built, dim }));
    await storage.setRetrievalFacts(db, 'a', { indexes, plans: [], norms: true });
    expect(await storage.getVersion(db, 'a')).toMatchObject({
      version: 'a',
      status: 'candidate',
      manifest: manifest('a'),
      path: '/models/a',
      indexDims: [8, 16],
      ...{ indexes, plans: [], norms: true },
    });
    expect(await storage.getVersion(db, 'absent')).toBeNull();
    expect(await storage.getPublished(db)).toBeNull();
  });

  it('moves the pointer only from where the mover believes it stands', async () => {
    const db = database();
    expect(await storage.swapPublished(db, 'a', 'b')).toBeNull();
    expect(await storage.swapPublished(db, 'a', null)).toMatchObject({
      version: 'a',
      previousVersion: null,
    });
    expect(await storage.swapPublished(db, 'b', null)).toBeNull();
    expect(await storage.swapPublished(db, 'b', 'c')).toBeNull();
    expect(await storage.getPublished(db)).toMatchObject({ version: 'a' });
    expect(await storage.swapPublished(db, 'b', 'a')).toMatchObject({
      version: 'b',
      previousVersion: 'a',
    });
    expect(await statuses()).toEqual({ a: 'retired', b: 'published', c: 'candidate' });
  });

  it('rolls back by the same move', async () => {
    const db = database();
    await storage.swapPublished(db, 'a', null);
    await storage.swapPublished(db, 'b', 'a');
    expect(await storage.swapPublished(db, 'a', 'b')).toMatchObject({
      version: 'a',
      previousVersion: 'b',
    });
    expect(await statuses()).toEqual({ a: 'published', b: 'retired', c: 'candidate' });
  });

  it('lets exactly one of many movers win, at the first publication and later', async () => {
    const db = database();
    const race = async (expected: string | null, versions: string[]) =>
      (
        await Promise.all(versions.map((version) => storage.swapPublished(db, version, expected)))
      ).filter((pointer) => pointer !== null);
    const first = await race(null, ['a', 'b', 'c', 'a', 'b', 'c']);
    expect(first).toHaveLength(1);
    const standing = first[0]!.version;
    const others = ['a', 'b', 'c'].filter((version) => version !== standing);
    expect(await race(standing, [...others, ...others])).toHaveLength(1);
    expect(Object.values(await statuses()).filter((s) => s === 'published')).toHaveLength(1);
  });

  it('cannot point to a version that is not registered', async () => {
    await expect(storage.swapPublished(database(), 'ghost', null)).rejects.toThrow();
    expect(await storage.getPublished(database())).toBeNull();
  });

  it('drops a version with its vectors, but never the published one or its predecessor', async () => {
    const db = database();
    for (const version of ['a', 'b', 'c']) {
      await db.execute(
        `CREATE TABLE ${storage.itemVectorsTable(version)} (item_id text PRIMARY KEY)`,
      );
    }
    await storage.swapPublished(db, 'a', null);
    await storage.swapPublished(db, 'b', 'a');
    const remove = (version: string) => db.transaction((tx) => storage.removeVersion(tx, version));
    expect([await remove('a'), await remove('b'), await remove('c')]).toEqual([false, false, true]);
    expect(await storage.listItemVectorTables(db)).toEqual(['a', 'b']);
    expect(await storage.getVersion(db, 'c')).toBeNull();
    await db.execute('DROP TABLE item_vectors_a; DROP TABLE item_vectors_b');
  });

  describe('names of tables', () => {
    it.each(['', '_a', 'A', 'a"; DROP TABLE items; --', 'a b', 'a'.repeat(49), 'a\u0000', 'ä'])(
      'never come from the version %j',
      async (version) => {
        expect(() => storage.itemVectorsTable(version)).toThrow(/version: got/);
        expect(() => storage.itemVectorsIndex(version, 8)).toThrow(/version: got/);
      },
    );

    it('have whole positive dimensions and stay below 64 bytes', () => {
      expect(() => storage.itemVectorsIndex('a', 1.5)).toThrow(/dim: got 1.5/);
      expect(() => storage.itemVectorsIndex('a', 0)).toThrow(/dim: got 0/);
      expect(storage.itemVectorsTable('a'.repeat(48)).length).toBeLessThanOrEqual(63 + 2);
      expect(storage.itemVectorsIndex('a'.repeat(48), 4_096).length).toBeLessThanOrEqual(63 + 2);
    });
  });
});
