/** `nestrec dlq` on both databases: what it shows, what it writes, what it refuses. */
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCli } from '@nestrec/cli';
import { openPglite, openPostgres, type Database } from '@nestrec/database';
import { insertRejects, type Reject } from '@nestrec/storage';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { copyPgliteTemplate, createTestPostgres, postgresMissing } from '../helpers/databases.js';
import { recordOf } from '../helpers/ingest-harness.js';

const TOPIC = 'interactions.v1';
const at = (offset: number, change: Partial<Reject>): Reject => ({
  ...{ topic: TOPIC, partition: 0, offset: BigInt(offset), part: 0 },
  ...{ reason: 'not_json', detail: 'got {, wanted a JSON object', key: 'u' },
  ...{ value: Uint8Array.of(0x7b), consumerVersion: '0.1.0', ...change },
});

const ESCAPES = '\u001b[31m\u202e';
/** Set aside as too far ahead; fit by now. */
const ripe = recordOf({ id: 'ripe', user: 'r' });
const REJECTS = [
  at(3, { key: `k${ESCAPES}`, detail: `got ${ESCAPES}`, value: Uint8Array.of(0xff, 0x00, 0x0a) }),
  at(4, { key: null, value: null, reason: 'empty_record' }),
  at(5, { value: new TextEncoder().encode(`hello ${ESCAPES}`) }),
  at(6, { ...ripe, value: oldEvent(ripe.value), reason: 'future_timestamp' }),
];

/** The same event in 2020: the command judges by the real clock. */
function oldEvent(value: Uint8Array): Uint8Array {
  const event = JSON.parse(new TextDecoder().decode(value)) as object;
  return new TextEncoder().encode(JSON.stringify({ ...event, timestamp_ms: Date.UTC(2020, 1, 1) }));
}

interface Place {
  readonly env: Record<string, string>;
  open(): Promise<Database>;
  dispose(): Promise<void>;
}

async function onPglite(): Promise<Place> {
  const root = await mkdtemp(join(tmpdir(), 'nestrec-dlq-'));
  const copy = await copyPgliteTemplate();
  const dataDir = join(root, 'database');
  await rename(copy.dataDir, dataDir);
  await copy.dispose();
  return {
    env: { NESTREC_DATA_DIR: root, NESTREC_LOG_LEVEL: 'error' },
    open: () => openPglite({ dataDir }),
    dispose: () => rm(root, { recursive: true, force: true }),
  };
}

async function onPostgres(): Promise<Place> {
  const root = await mkdtemp(join(tmpdir(), 'nestrec-dlq-'));
  await mkdir(root, { recursive: true });
  const { url, drop } = await createTestPostgres();
  return {
    env: {
      ...{ NESTREC_DATA_DIR: root, DATABASE_URL: url },
      ...{ NESTREC_ALLOW_UNSAFE_DURABILITY: 'true', NESTREC_LOG_LEVEL: 'error' },
    },
    open: () => openPostgres({ url, allowUnsafeDurability: true }),
    dispose: async () => {
      await drop();
      await rm(root, { recursive: true, force: true });
    },
  };
}

const PLACES = [
  { name: 'PGlite', missing: null, make: onPglite },
  { name: 'PostgreSQL', missing: postgresMissing(), make: onPostgres },
];

for (const { name, missing, make } of PLACES) {
  const title = `nestrec dlq on ${name}${missing === null ? '' : ` (${missing})`}`;
  describe.skipIf(missing !== null)(title, () => {
    let place: Place;
    beforeAll(async () => {
      place = await make();
      await withDatabase((db) => insertRejects(db, REJECTS));
    });
    afterAll(() => place.dispose());

    async function withDatabase<T>(work: (db: Database) => Promise<T>): Promise<T> {
      const db = await place.open();
      return work(db).finally(() => db.close());
    }

    async function dlq(...args: string[]) {
      const written = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
      const stream = (which: keyof typeof written) =>
        ({
          write: (chunk: string | Uint8Array) => written[which].push(Buffer.from(chunk as string)),
        }) as unknown as NodeJS.WriteStream;
      const code = await runCli(['dlq', ...args], {
        env: place.env,
        streams: { stdout: stream('stdout'), stderr: stream('stderr') },
      });
      const bytes = Buffer.concat(written.stdout);
      const text = bytes.toString('utf8');
      return {
        ...{ code, bytes, text, notes: Buffer.concat(written.stderr).toString('utf8') },
        json: <T>() => JSON.parse(text) as T,
      };
    }

    it('lists the newest first, by reason, with counts; what could steer a terminal is shown by code', async () => {
      const listed = await dlq('list');
      expect(listed, listed.notes).toMatchObject({ code: 0 });
      expect(listed.text).toMatch(/4 of 4: 1 empty_record, 1 future_timestamp, 2 not_json/);
      expect(listed.text).not.toContain('\u202e');
      expect(listed.text).toContain('k\\u001b[31m\\u202e');
      interface Listed {
        rejects: { offset: string; key: string | null; value_bytes: number | null }[];
        total: number;
        by_reason: Record<string, number>;
      }
      const found = (
        await dlq('list', '--reason', 'not_json', '--limit', '1', '--json')
      ).json<Listed>();
      expect(found.rejects.map((r) => r.offset)).toEqual(['5']);
      expect(found).toMatchObject({ total: 2, by_reason: { not_json: 2 } });
      const all = (await dlq('list', '--json')).json<Listed>();
      expect(all.rejects.map((r) => r.value_bytes)).toEqual([
        REJECTS[3]!.value!.length,
        14,
        null,
        3,
      ]);
      expect(all.rejects[3]!.key).toBe(`k${ESCAPES}`);
      const future = await dlq('list', '--since', '2199-01-01T00:00:00Z');
      expect(future.text).toBe('Nothing was set aside.\n');
    });

    it('shows one with its value as text or bytes, and writes exactly the bytes with --raw', async () => {
      const binary = await dlq('show', TOPIC, '0', '3');
      expect(binary.text).toContain('key: k\\u001b[31m\\u202e');
      expect(binary.text).toMatch(/3 bytes, no UTF-8.*\nff000a\n/);
      const text = await dlq('show', TOPIC, '0', '5');
      expect(text.text).toContain('hello \\u001b[31m\\u202e');
      expect((await dlq('show', TOPIC, '0', '4')).text).toMatch(/^key: -$[^]*^value: none$/m);
      expect((await dlq('show', TOPIC, '0', '3', '--raw')).bytes).toEqual(
        Buffer.from([0xff, 0, 10]),
      );
      expect((await dlq('show', TOPIC, '0', '3', '--json')).json()).toMatchObject({
        ...{ offset: '3', reason: 'not_json', value_base64: '/wAK', value_bytes: 3 },
      });
      expect(await dlq('show', TOPIC, '0', '99')).toMatchObject({ code: 65 });
    });

    it.each([
      [['list', '--reason', 'bad_luck'], /not_json/],
      [['list', '--since', 'yesterday'], /2027-01-31T00:00:00Z/],
      [['show', TOPIC, '0', '-1'], /offset|unknown option/],
      [['show', TOPIC, '0', '3', '--raw', '--json'], /cannot be used together/],
      [['purge'], /--before/],
    ])('refuses %j as usage', async (args, reason) => {
      const { code, notes } = await dlq(...args);
      expect(code).toBe(2);
      expect(notes).toMatch(reason);
    });

    it('replays what is ripe, once, after a dry run that says the same', async () => {
      const failing = { empty_record: 1, not_json: 1, not_utf8: 1 };
      const dry = await dlq('replay', '--dry-run', '--json');
      expect(dry.json()).toEqual({ examined: 4, replayed: 1, failing, dry_run: true });
      const replayed = await dlq('replay');
      expect(replayed.text).toMatch(/^4 looked at: 1 appended again, 3 still fail\.$/m);
      expect(replayed.notes).toMatch(/Replaying 100%/);
      expect((await dlq('replay', '--json')).json()).toMatchObject({ examined: 3, replayed: 0 });
      const log = await withDatabase((db) =>
        db.query<{ record_key: string; record_value: Uint8Array }>('SELECT * FROM event_log'),
      );
      expect(log.rows.map((row) => [row.record_key, Buffer.from(row.record_value)])).toEqual([
        ['r', Buffer.from(REJECTS[3]!.value!)],
      ]);
    });

    it('purges what was set aside before a time', async () => {
      await withDatabase((db) =>
        db.query(`UPDATE rejects SET rejected_at = '2026-01-01Z' WHERE log_offset < 5`),
      );
      const purged = await dlq('purge', '--before', '2026-02-01T00:00:00Z', '--json');
      expect(purged.json()).toEqual({ purged: 2 });
      expect((await dlq('list', '--json')).json()).toMatchObject({ total: 2 });
    });

    it.runIf(name === 'PGlite')('says who holds the data folder', async () => {
      await withDatabase(async () => {
        const { code, notes } = await dlq('replay');
        expect(code).toBe(75);
        expect(notes).toMatch(
          new RegExp(`Another process uses the data folder.*${process.pid}`, 's'),
        );
      });
    });
  });
}
