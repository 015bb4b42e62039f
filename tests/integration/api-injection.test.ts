/**
 * SQL in every field, and keys that reach prototypes, against the real database: nothing changes, nothing
 * sleeps, nothing of the inside comes back, and the API goes on.
 */
import { createLogger } from '@nestrec/runtime';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeDatabases } from '../helpers/databases.js';
import { leaksIn } from '../helpers/api/leaks.js';
import { serveApi, type ServedApi } from '../helpers/api/served-api.js';
import type { Reply } from '../helpers/api/harness.js';

/** Below the 5 s that the texts ask the database to sleep, above what a busy test machine takes. */
const SLOWEST_MS = 4_000;

/** Pieces of what scanners send, put together: more than 500 texts. */
function corpus(): string[] {
  const breakouts = [
    "'",
    "''",
    '"',
    "')",
    "'))",
    '$$',
    "\\'",
    '%27',
    '`',
    "E'",
    ';',
    '*/',
    ']',
    "' --",
  ];
  const payloads = [
    'OR 1=1 --',
    'AND pg_sleep(5) --',
    '; SELECT pg_sleep(5); --',
    '; DROP TABLE canary; --',
    '; DELETE FROM canary; --',
    "; UPDATE canary SET note = 'x'; --",
    '; TRUNCATE canary; --',
    'UNION SELECT note FROM canary --',
    'UNION ALL SELECT NULL, version() --',
    '|| (SELECT pg_sleep(5)) ||',
    '; INSERT INTO canary VALUES (2) --',
    'AND 1=CAST((SELECT note FROM canary) AS int) --',
    "; COPY canary TO PROGRAM 'sh' --",
    ' OR (SELECT 1 FROM pg_sleep(5)) IS NULL --',
    '::regclass',
    '; ALTER TABLE canary ADD x int --',
    '; GRANT ALL ON canary TO PUBLIC --',
    '/**/OR/**/1=1',
    ' AND 1=(SELECT count(*) FROM pg_class) --',
    '; SET search_path TO pg_catalog --',
    '; COMMIT; --',
    '; ROLLBACK; DROP TABLE canary --',
    '%00',
    '$1',
    '$2::int',
    '{1,2}',
    'ARRAY[1]',
    'COLLATE "C"',
    '; LISTEN x --',
    '; VACUUM canary --',
    '\u2019 OR 1=1',
    'xp_cmdshell',
    'ORDER BY 9999',
    'LIMIT 0 OFFSET 1e9',
    '; DO $$ BEGIN PERFORM pg_sleep(5); END $$ --',
    '(((((',
    'NULL',
    'DEFAULT',
  ];
  return breakouts.flatMap((breakout) => payloads.map((payload) => `x${breakout} ${payload}`));
}

const FIELDS: ((text: string) => [method: string, path: string, body?: unknown])[] = [
  (t) => ['GET', `/v1/users/${encodeURIComponent(t)}/recommendations`],
  (t) => ['GET', `/v1/users/u/recommendations?k=${encodeURIComponent(t)}`],
  (t) => ['GET', `/v1/users/u/recommendations?after=${encodeURIComponent(t)}`],
  (t) => ['POST', `/v1/users/${encodeURIComponent(t)}/recommendations`, { exclude: [t] }],
  (t) => ['GET', `/v1/users/u/recommendations?diversity=${encodeURIComponent(t)}`],
  (t) => ['GET', `/v1/items/${encodeURIComponent(t)}/similar`],
  (t) => ['POST', `/v1/items/${encodeURIComponent(t)}/similar`, { exclude: [t] }],
  (t) => ['GET', `/v1/items/${encodeURIComponent(t)}`],
  (t) => ['DELETE', `/v1/items/${encodeURIComponent(t)}`],
  (t) => ['POST', '/v1/sessions/recommendations', { items: [t, 'i0001'] }],
  (t) => [
    'POST',
    '/v1/events',
    { events: [{ event_id: t, user_id: t, item_id: t, timestamp: '2026-01-01T00:00:00Z' }] },
  ],
  (t) => ['POST', '/v1/events', { events: [{ user_id: 'u', item_id: 'i', type: t }] }],
  (t) => ['PUT', '/v1/items/injected', { title: t, brand: t, categories: [t], fields: { [t]: t } }],
  (t) => ['PUT', '/v1/items/injected', { features: { [t]: [1, 2, 3] } }],
  (t) => ['POST', '/v1/admin/keys', { client: t, tier: t, scopes: ['recommend'] }],
  (t) => ['DELETE', `/v1/admin/keys/${encodeURIComponent(t)}`],
  (t) => ['POST', `/v1/models/${encodeURIComponent(t)}/publish`],
];

/** Fields of lists, each with as many texts at once as the API takes. */
const LIST_FIELDS: Record<string, { atOnce: number; body: (texts: string[]) => object }> = {
  'values of filters': {
    atOnce: 100,
    body: (texts) => ({
      filter: {
        or: [
          ...['brand', 'categories', 'item_id', 'fields.a'].map((field) => ({ field, in: texts })),
          { not: { field: 'fields.a', gt: texts[0], lte: texts.at(-1) } },
          { field: 'brand', gte: texts[0], lt: texts.at(-1) },
        ],
      },
    }),
  },
  'names of fields': {
    atOnce: 12,
    body: (texts) => ({
      filter: {
        or: texts.flatMap((text) => {
          const field = `fields.${text}`;
          return [
            { field, eq: 'x' },
            { field, in: [1, true] },
            { field, gte: 'a' },
            { field, lt: 5 },
          ];
        }),
      },
    }),
  },
  'excluded ids': { atOnce: 1_000, body: (texts) => ({ exclude: texts }) },
  boosts: {
    atOnce: 10,
    body: (texts) => ({
      boosts: texts.map((text) => ({ filter: { field: `fields.${text}`, eq: text }, factor: 2 })),
    }),
  },
};

describeDatabases('hostile text', (database) => {
  let api: ServedApi;
  let logs = '';
  beforeAll(async () => {
    const logger = createLogger({
      name: 'api',
      level: 'error',
      destination: { write: (line) => (logs += line) },
    });
    api = await serveApi(database(), logger);
    await database().execute(
      "CREATE TABLE canary (id int PRIMARY KEY, note text); INSERT INTO canary VALUES (1, 'alive')",
    );
  });
  afterAll(() => api.stop());

  const expectCanary = async () => {
    const { rows } = await database().query('SELECT id, note FROM canary');
    expect(rows).toEqual([{ id: 1, note: 'alive' }]);
  };
  const expectHarmless = (reply: Reply, what: string) => {
    expect(reply.status, `${what}: ${reply.text.slice(0, 300)}`).toBeLessThan(500);
    expect(reply.text).not.toContain('alive');
    // Answers that give a client its own text back are no leak; problems quote at most 64 characters.
    if (reply.status >= 400) {
      const said = { ...(reply.json as object), detail: '', errors: [] };
      expect(leaksIn(JSON.stringify(said))).toEqual([]);
      expect(reply.text).not.toMatch(/syntax error|SQLSTATE|relation "|22P02|42601/);
    }
  };

  it('over 500 texts of SQL, each in a field of every route, do nothing', async () => {
    const texts = corpus();
    expect(texts.length).toBeGreaterThan(500);
    for (const [index, text] of texts.entries()) {
      // Every text in one field, every field by dozens of texts; the whole product takes minutes.
      const [method, path, body] = FIELDS[index % FIELDS.length]!(text);
      const startMs = performance.now();
      const reply = await api.call(method, path, body);
      expect(performance.now() - startMs, `${method} ${path}`).toBeLessThan(SLOWEST_MS);
      expectHarmless(reply, `${method} ${path}`);
    }
    await expectCanary();
    expect(logs).not.toMatch(/syntax error|42601|22P02/);
  });

  it.each(Object.entries(LIST_FIELDS))(
    'over 500 texts of SQL as %s let nothing through and change nothing',
    async (_name, { atOnce, body }) => {
      // What a name of a field may be: at most 64 bytes.
      const texts = corpus().filter((text) => Buffer.byteLength(text) <= 64);
      expect(texts.length).toBeGreaterThan(500);
      for (let from = 0; from < texts.length; from += atOnce) {
        const some = texts.slice(from, from + atOnce);
        for (const path of ['/v1/users/u/recommendations', '/v1/sessions/recommendations']) {
          const items = path.includes('sessions') ? { items: ['i0001'] } : {};
          const startMs = performance.now();
          const reply = await api.call('POST', path, { ...items, ...body(some) });
          expect(performance.now() - startMs).toBeLessThan(SLOWEST_MS);
          expect(reply.status, reply.text.slice(0, 300)).toBe(200);
          expectHarmless(reply, path);
        }
      }
      await expectCanary();
      expect(logs).not.toMatch(/syntax error|42601|22P02/);
    },
  );

  it.each(['cursor', 'filter'])(
    'over 500 texts of SQL as the parameter %s are refused, each with its own fault',
    async (name) => {
      const texts = corpus();
      const refuse = async (text: string) => {
        const path = `/v1/users/u/recommendations?${name}=${encodeURIComponent(text)}`;
        const reply = await api.call('GET', path);
        expect(reply.status).toBeGreaterThanOrEqual(400);
        expectHarmless(reply, path);
        expect((reply.json as { errors: { path: string }[] }).errors[0]!.path).toBe(name);
      };
      for (let from = 0; from < texts.length; from += 20) {
        await Promise.all(texts.slice(from, from + 20).map(refuse));
      }
      await expectCanary();
    },
  );

  it('keys that reach prototypes are refused in every body and change nothing', async () => {
    const bodies = [
      '{"__proto__":{"polluted":1}}',
      '{"constructor":{"prototype":{"polluted":1}}}',
      '{"fields":{"__proto__":"x"}}',
      '{"features":{"constructor":[1]}}',
      '{"a":{"b":{"c":{"prototype":1}}}}',
    ];
    const targets = [
      ['POST', '/v1/events'],
      ['POST', '/v1/sessions/recommendations'],
      ['POST', '/v1/users/u/recommendations'],
      ['PUT', '/v1/items/polluted'],
      ['POST', '/v1/admin/keys'],
    ] as const;
    for (const [method, path] of targets) {
      for (const body of bodies) {
        const reply = await fetch(api.url + path, {
          method,
          headers: { authorization: `Bearer ${api.key}`, 'content-type': 'application/json' },
          body,
        });
        expect(reply.status).toBe(400);
        expect(await reply.json()).toMatchObject({ code: 'unknown_field' });
        expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
      }
    }
    expect((await api.call('GET', '/v1/items/polluted')).status).toBe(404);
  });

  it('still serves afterwards', async () => {
    const reply = await api.call('GET', '/v1/users/u/recommendations');
    expect(reply.status).toBe(200);
  });
});
