/**
 * PostgreSQL that restarts, dies, runs out of connections, falls silent or freezes: short errors that are
 * marked retryable, then healthy again, never a crash and never an endless wait. And servers that must
 * not be used are refused at the start, with every reason.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { compareVersions, migrate, openPostgres, type Database } from '@nestrec/database';
import { DatabaseUnavailable, DatabaseUnsuitable, NestrecError } from '@nestrec/errors';
import { createLogger } from '@nestrec/runtime';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { createTestPostgres, postgresMissing } from '../helpers/databases.js';
import { startPostgres, type PostgresServer } from '../helpers/postgres-server.js';
import type { CreatedDatabase } from '../helpers/postgres-template.js';
import { waitFor } from '../helpers/wait-for.js';

/** A server of our own is needed, to break it; TEST_DATABASE_URL and Docker do not give one. */
const noServer = postgresMissing() !== null || process.env['TEST_DATABASE_URL'] !== undefined;

const unavailable = { code: DatabaseUnavailable.code, traits: { retryable: true, status: 503 } };

/**
 * Calls outside the asynchronous context of a transaction, as another request would: within it the
 * database refuses at once instead of waiting.
 */
const callOutside = AsyncLocalStorage.snapshot();

async function failure(promise: Promise<unknown>): Promise<NestrecError> {
  const error: unknown = await promise.then(
    () => new Error('it succeeded'),
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(NestrecError);
  return error as NestrecError;
}

describe.skipIf(noServer)('a server that breaks', () => {
  let server: PostgresServer;
  let db: Database;
  beforeAll(async () => {
    server = await startPostgres();
    db = await openPostgres({ url: server.url, max: 4 });
    await migrate(db);
    await db.execute('CREATE TABLE acknowledged (i int PRIMARY KEY)');
  });
  afterAll(async () => {
    await db.close();
    await server.stop();
  });

  it.each<[string, () => Promise<void>]>([
    ['is restarted', () => server.halt('fast')],
    ['is stopped at once', () => server.halt('immediate')],
    ['is killed', () => server.kill()],
  ])(
    'that %s gives retryable errors, then answers again, with all it acknowledged',
    async (_, break_) => {
      const acknowledged: number[] = [];
      const errors: NestrecError[] = [];
      let next = Number(
        (await db.query('SELECT coalesce(max(i), 0) AS i FROM acknowledged')).rows[0]!['i'],
      );
      let running = true;
      const client = async () => {
        while (running) {
          const i = ++next;
          await db
            .transaction((tx) => tx.query('INSERT INTO acknowledged VALUES ($1)', [i]))
            .then(() => acknowledged.push(i))
            .catch(async (error: NestrecError) => {
              errors.push(error);
              // Refused connections fail within microseconds: leave the processor to the server.
              await new Promise((resolve) => setTimeout(resolve, 10));
            });
        }
      };
      const clients = [client(), client(), client()];
      try {
        await waitFor('some rows', () => acknowledged.length > 20);
        await break_();
        await waitFor('errors', () => errors.length > 5);
        const before = acknowledged.length;
        await server.start();
        await waitFor('answers again', () => acknowledged.length > before + 20, 30_000);
      } finally {
        running = false;
        await Promise.all(clients);
      }
      for (const error of errors) expect(error).toMatchObject(unavailable);
      const { rows } = await db.query<{ n: bigint }>(
        'SELECT count(*) AS n FROM acknowledged WHERE i = ANY($1)',
        [acknowledged],
      );
      expect(Number(rows[0]!.n)).toBe(acknowledged.length);
    },
  );

  it('that restarts while a transaction thinks ends that transaction, not the process', async () => {
    const error = await failure(
      db.transaction(async (tx) => {
        await tx.query('SELECT 1');
        await server.halt('fast');
        await server.start();
        await tx.query('SELECT 1');
      }),
    );
    expect(error).toMatchObject(unavailable);
    await waitFor('answers again', () =>
      db.query('SELECT 1').then(
        () => true,
        () => false,
      ),
    );
  });

  it('that is not there is unavailable at the opening, within the limit', async () => {
    const started = performance.now();
    const error = await failure(
      openPostgres({ url: 'postgres://postgres@127.0.0.1:1/none', connectionTimeoutMs: 1_000 }),
    );
    expect(error).toMatchObject({ code: DatabaseUnavailable.code });
    expect(performance.now() - started).toBeLessThan(2_500);
  });
});

describe.skipIf(postgresMissing() !== null)('waits that end', () => {
  let created: CreatedDatabase;
  let db: Database | undefined;
  beforeAll(async () => {
    created = await createTestPostgres();
  });
  afterEach(async () => {
    await db?.close();
    db = undefined;
  });
  afterAll(() => created.drop());
  const open = async (options: Partial<Parameters<typeof openPostgres>[0]>) =>
    (db = await openPostgres({ url: created.url, allowUnsafeDurability: true, ...options }));

  it('for a connection of the pool', async () => {
    await open({ max: 1, connectionTimeoutMs: 200 });
    await db!.transaction(async () => {
      const outside = await failure(callOutside(() => db!.query('SELECT 1')));
      expect(outside).toMatchObject(unavailable);
    });
    expect((await db!.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  it('for a statement', async () => {
    await open({ statementTimeoutMs: 100 });
    expect(await failure(db!.query('SELECT pg_sleep(30)'))).toMatchObject(unavailable);
    expect((await db!.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  it('for a statement, unless its transaction asks for more', async () => {
    await open({ statementTimeoutMs: 100, max: 1 });
    const slow = () =>
      db!.transaction((tx) => tx.query('SELECT pg_sleep(0.3)'), { statementTimeoutMs: 0 });
    expect((await slow()).rowCount).toBe(1);
    // The exception ended with its transaction.
    expect(await failure(db!.query('SELECT pg_sleep(30)'))).toMatchObject(unavailable);
  });

  it('for a lock', async () => {
    await open({ lockTimeoutMs: 100 });
    const error = await failure(
      db!.transaction(async (tx) => {
        await tx.execute('LOCK TABLE interactions');
        await callOutside(() => db!.query('SELECT count(*) FROM interactions'));
      }),
    );
    expect(error).toMatchObject(unavailable);
  });

  it('for a transaction whose owner stopped talking: its locks are freed for others', async () => {
    await open({ idleInTransactionTimeoutMs: 200, lockTimeoutMs: 10_000 });
    await db!.query(`INSERT INTO consumer_positions VALUES ('t', 0, 0)`);
    let thaw = () => {};
    const frozen = db!.transaction(async (tx) => {
      await tx.query('SELECT 1 FROM consumer_positions FOR UPDATE');
      await new Promise<void>((resolve) => (thaw = resolve));
      await tx.query('UPDATE consumer_positions SET next_offset = 99');
    });
    const outcome = failure(frozen);
    const moved = await waitFor('the lock', () =>
      db!.query('UPDATE consumer_positions SET next_offset = 1'),
    );
    expect(moved.rowCount).toBe(1);
    thaw();
    expect(await outcome).toMatchObject(unavailable);
    const { rows } = await db!.query('SELECT next_offset FROM consumer_positions');
    expect(rows).toEqual([{ next_offset: 1n }]);
  });

  it('sets what every connection needs once', async () => {
    await open({ hnsw: { efSearch: 77 }, statementTimeoutMs: 1_234 });
    const { rows } = await db!.query(
      `SELECT current_setting('hnsw.ef_search') AS ef, current_setting('hnsw.iterative_scan') AS scan,
              current_setting('statement_timeout') AS statement, current_setting('lock_timeout') AS lock,
              current_setting('idle_in_transaction_session_timeout') AS idle,
              current_setting('client_connection_check_interval') AS orphans,
              current_setting('TimeZone') AS zone`,
    );
    expect(rows).toEqual([
      {
        ...{ ef: '77', scan: 'strict_order', statement: '1234ms', lock: '2s', idle: '5s' },
        ...{ orphans: '1s', zone: 'UTC' },
      },
    ]);
  });
});

describe.skipIf(postgresMissing() !== null)('a network that falls silent', () => {
  /** Passes bytes on until told to swallow them. */
  async function startSilentProxy(
    target: URL,
  ): Promise<{ port: number; hush(): void; stop(): void }> {
    let silent = false;
    const sockets = new Set<Socket>();
    const server: Server = createServer((client) => {
      const upstream = connect(Number(target.port), target.hostname);
      for (const [from, to] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        sockets.add(from);
        from.on('data', (chunk) => {
          if (!silent) to.write(chunk);
        });
        from.on('error', () => to.destroy());
        from.on('close', () => to.destroy());
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return {
      port: (server.address() as { port: number }).port,
      hush: () => (silent = true),
      stop: () => {
        for (const socket of sockets) socket.destroy();
        server.close();
      },
    };
  }

  it('costs a statement its limit and a grace, not for ever', async () => {
    const created = await createTestPostgres();
    const proxy = await startSilentProxy(new URL(created.url));
    const through = new URL(created.url);
    through.port = String(proxy.port);
    const db = await openPostgres({
      url: through.href,
      statementTimeoutMs: 100,
      connectionTimeoutMs: 500,
      allowUnsafeDurability: true,
    });
    const spent = async (call: Promise<unknown>) => {
      const started = performance.now();
      expect(await failure(call)).toMatchObject(unavailable);
      return performance.now() - started;
    };
    const inTransaction = spent(
      db.transaction(async (tx) => {
        await tx.query('SELECT 1');
        proxy.hush();
        await tx.query('SELECT 1');
      }),
    );
    // The limit of 0.1 s and the grace of 1 s, once: no ROLLBACK is waited for.
    expect(await inTransaction).toBeLessThan(2_000);
    expect(await spent(db.query('SELECT 1'))).toBeLessThan(2_000);
    proxy.stop();
    await db.close();
    // The server notices the broken connections in its own time.
    await waitFor('the connections to end', () =>
      created.drop().then(
        () => true,
        () => false,
      ),
    );
  });

  it('costs a server whose client is gone a second: the statement ends, and its locks are free', async () => {
    const created = await createTestPostgres();
    const proxy = await startSilentProxy(new URL(created.url));
    const through = new URL(created.url);
    through.port = String(proxy.port);
    const open = (url: string) => openPostgres({ url, allowUnsafeDurability: true });
    const [db, others] = [await open(through.href), await open(created.url)];
    const cut = failure(
      db.transaction(
        async (tx) => {
          await tx.query('LOCK TABLE items');
          await tx.query('SELECT pg_sleep(60)');
        },
        { statementTimeoutMs: 0 },
      ),
    );
    const orphans = async () => {
      const { rows } = await others.query<{ orphans: number }>(
        `SELECT count(*)::int AS orphans FROM pg_stat_activity
         WHERE datname = current_database() AND query = 'SELECT pg_sleep(60)'`,
      );
      return rows[0]!.orphans;
    };
    await waitFor('the statement', async () => (await orphans()) === 1);
    proxy.stop();
    expect(await cut).toMatchObject(unavailable);
    await waitFor('its end', async () => (await orphans()) === 0, 10_000);
    expect((await others.query('SELECT count(*) FROM items')).rowCount).toBe(1);
    await db.close();
    await others.close();
    await created.drop();
  });
});

describe.skipIf(noServer)('a server without free connections', () => {
  it('is unavailable within the limit, and fine again afterwards', async () => {
    const server = await startPostgres({
      max_connections: '12',
      superuser_reserved_connections: '0',
    });
    const db = await openPostgres({ url: server.url, max: 2, connectionTimeoutMs: 1_000 });
    const holders: pg.Client[] = [];
    for (let full = false; !full;) {
      const holder = new pg.Client(server.url);
      holder.on('error', () => undefined);
      await holder.connect().then(
        () => holders.push(holder),
        () => (full = true),
      );
    }
    const started = performance.now();
    // One connection of ours may still be open and idle; more callers than that need new ones.
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, () => db.query('SELECT pg_sleep(0.2)')),
    );
    expect(performance.now() - started).toBeLessThan(8_000);
    const failed = outcomes.flatMap((o) => (o.status === 'rejected' ? [o.reason as unknown] : []));
    expect(failed.length).toBeGreaterThan(0);
    for (const error of failed) expect(error).toMatchObject(unavailable);
    await Promise.all(holders.map((holder) => holder.end()));
    await waitFor('answers again', () =>
      db.query('SELECT 1').then(
        () => true,
        () => false,
      ),
    );
    await db.close();
    await server.stop();
  });
});

describe.skipIf(noServer)('servers that must not be used', () => {
  const refusal = async (settings: Record<string, string>, options = {}) => {
    const server = await startPostgres(settings);
    try {
      const db = await openPostgres({ url: server.url, max: 4, ...options });
      await db.close();
      return null;
    } catch (error) {
      return error as NestrecError;
    } finally {
      await server.stop();
    }
  };

  it('are refused for every reason at once: lost durability, read-only, too few connections', async () => {
    const error = await refusal({
      fsync: 'off',
      synchronous_commit: 'off',
      default_transaction_read_only: 'on',
      max_connections: '8',
      superuser_reserved_connections: '0',
    });
    expect(error).toMatchObject({ code: DatabaseUnsuitable.code });
    for (const reason of [
      /fsync: got off/,
      /synchronous_commit: got off/,
      /read-only/,
      /max_connections: got 8/,
    ]) {
      expect(error!.detail).toMatch(reason);
    }
  });

  it('are used without durability when that is asked for, with a warning', async () => {
    const lines: string[] = [];
    const logger = createLogger({
      name: 'test',
      level: 'warn',
      destination: { write: (line) => void lines.push(line) },
    });
    expect(await refusal({ fsync: 'off' }, { allowUnsafeDurability: true, logger })).toBeNull();
    expect(lines.join()).toMatch(/fsync: got off.*may be lost/);
  });
});

describe.skipIf(postgresMissing() !== null)('an address that is wrong', () => {
  it('is told apart: no such database, and never shows the password', async () => {
    const url = new URL(inject('postgres').url!);
    url.pathname = '/absent_database';
    url.password = 'very-secret';
    const error = await failure(openPostgres({ url: url.href }));
    expect(error).toMatchObject({ code: DatabaseUnsuitable.code });
    expect(error.detail).toMatch(/does not exist/);
    expect(JSON.stringify([error.message, error.detail])).not.toContain('very-secret');
  });
});

describe('versions', () => {
  it('are compared as numbers', () => {
    expect(compareVersions('0.8.10', '0.8.9')).toBeGreaterThan(0);
    expect(compareVersions('0.8', '0.8.0')).toBe(0);
    expect(compareVersions('0.7.9', '0.8.0')).toBeLessThan(0);
  });
});
