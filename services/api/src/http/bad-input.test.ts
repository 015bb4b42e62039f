/** The catalogue of bad input over HTTP: each case gets its documented code, as a problem, and no more. */
import { deflateSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  problemOf,
  rawExchange,
  startApi,
  type ApiHarness,
} from '../../../../tests/helpers/api/harness.js';

let api: ApiHarness;
let key: string;
let basicKey: string;
beforeAll(async () => {
  api = await startApi();
  key = api.world.key();
  basicKey = api.world.key({ tier: 'basic' });
});
afterAll(() => api.stop());

interface Case {
  name: string;
  method?: string;
  /** Default: /v1/events. */
  path?: string;
  body?: unknown;
  headers?: Record<string, string>;
  tier?: 'basic';
  status: number;
  code: string;
  /** A path that `errors` must name, or a text that `detail` must hold. */
  field?: string;
  says?: string | RegExp;
}

const EVENT = { user_id: 'u1', item_id: 'i1' };
const events = (...list: unknown[]) => ({ events: list });
const eventWith = (fields: Record<string, unknown>) => events({ ...EVENT, ...fields });
const SESSIONS = '/v1/sessions/recommendations';
const USER = '/v1/users/u1/recommendations';

const BODIES: Case[] = [
  { name: 'broken JSON', body: '{"a":', status: 400, code: 'invalid_json', says: 'character 5' },
  { name: 'text after JSON', body: '{} x', status: 400, code: 'invalid_json', says: 'character 3' },
  { name: 'a number', body: '5', status: 400, code: 'body_must_be_object' },
  { name: 'a list', body: '[]', status: 400, code: 'body_must_be_object' },
  { name: 'null', body: 'null', status: 400, code: 'body_must_be_object' },
  { name: 'no body', status: 400, code: 'body_required' },
  { name: 'an empty body', body: '', status: 400, code: 'body_required' },
  { name: 'a blank body', body: ' \n ', status: 400, code: 'body_required' },
  {
    name: 'text/plain',
    body: '{}',
    headers: { 'content-type': 'text/plain' },
    status: 415,
    code: 'unsupported_media_type',
  },
  {
    name: 'an unknown charset',
    body: '{}',
    headers: { 'content-type': 'application/json; charset=utf-16' },
    status: 415,
    code: 'unsupported_media_type',
  },
  {
    name: 'an unknown encoding',
    body: '{}',
    headers: { 'content-encoding': 'zstd' },
    status: 415,
    code: 'unsupported_media_type',
  },
  {
    name: 'gzip that is none',
    body: '{}',
    headers: { 'content-encoding': 'gzip' },
    status: 400,
    code: 'invalid_json',
  },
  {
    name: 'broken UTF-8',
    body: Buffer.from([0x7b, 0xff, 0x7d]),
    status: 400,
    code: 'invalid_json',
  },
  {
    name: 'UTF-16',
    body: Buffer.from('{"events":[]}', 'utf16le'),
    status: 400,
    code: 'invalid_json',
  },
  {
    name: 'more than 1 MB of events',
    body: JSON.stringify({ events: [], pad: 'x'.repeat(1_000_001) }),
    status: 413,
    code: 'body_too_large',
    says: '1000000 bytes',
  },
  {
    name: 'more than 100 kB elsewhere',
    path: SESSIONS,
    body: JSON.stringify({ items: ['x'.repeat(100_001)] }),
    status: 413,
    code: 'body_too_large',
    says: '100000 bytes',
  },
  {
    name: 'a gzip bomb',
    body: gzipSync(Buffer.alloc(100_000_000, 0x20)),
    headers: { 'content-encoding': 'gzip' },
    status: 413,
    code: 'body_too_large',
  },
  {
    name: 'a deflate bomb',
    path: SESSIONS,
    body: deflateSync(Buffer.alloc(10_000_000, 0x20)),
    headers: { 'content-encoding': 'deflate' },
    status: 413,
    code: 'body_too_large',
  },
  {
    name: 'more than 1,000 events',
    body: events(...Array.from({ length: 1_001 }, () => EVENT)),
    status: 413,
    code: 'body_too_large',
    says: '1000 events',
  },
  {
    name: '45,000 levels',
    path: SESSIONS,
    body: '['.repeat(45_000) + ']'.repeat(45_000),
    status: 400,
    code: 'too_deep',
  },
  {
    name: '9 levels',
    body: `{"a":${'['.repeat(8)}${']'.repeat(8)}}`,
    status: 400,
    code: 'too_deep',
  },
  {
    name: '__proto__ at the top',
    body: '{"__proto__":{"x":1}}',
    status: 400,
    code: 'unknown_field',
  },
  {
    name: '__proto__ in an event',
    body: '{"events":[{"user_id":"u","item_id":"i","__proto__":{"polluted":1}}]}',
    status: 400,
    code: 'unknown_field',
  },
  {
    name: 'an escaped __proto__',
    body: '{"\\u005f_proto__":1}',
    status: 400,
    code: 'unknown_field',
  },
  {
    name: 'constructor.prototype',
    body: '{"constructor":{"prototype":{"polluted":1}}}',
    status: 400,
    code: 'unknown_field',
  },
  {
    name: 'an unknown field',
    body: eventWith({ tier: 'full' }),
    status: 400,
    code: 'unknown_field',
    field: 'events[0].tier',
  },
  {
    name: 'a repeated key',
    body: '{"events":[],"events":[]}',
    status: 400,
    code: 'invalid_json',
    says: 'twice',
  },
];

const VALUES: Case[] = [
  { name: 'no events', body: events(), status: 422, code: 'invalid_request', field: 'events' },
  { name: 'events absent', body: {}, status: 422, code: 'invalid_request', field: 'events' },
  {
    name: '1e400',
    body: '{"events":[{"user_id":"u","item_id":"i","value":1e400}]}',
    status: 422,
    code: 'invalid_request',
    field: 'events[0].value',
  },
  {
    name: 'an id that is a number',
    body: '{"events":[{"user_id":9007199254740993,"item_id":"i"}]}',
    status: 422,
    code: 'invalid_request',
    field: 'events[0].user_id',
  },
  {
    name: 'an empty id',
    body: eventWith({ user_id: '' }),
    status: 400,
    code: 'invalid_id',
    field: 'events[0].user_id',
  },
  {
    name: 'an id with NUL',
    body: eventWith({ item_id: 'a\u0000b' }),
    status: 400,
    code: 'invalid_id',
    field: 'events[0].item_id',
  },
  {
    name: 'an id with a lone surrogate',
    body: '{"events":[{"user_id":"\\ud800","item_id":"i"}]}',
    status: 400,
    code: 'invalid_id',
    field: 'events[0].user_id',
  },
  {
    name: 'an id of 257 bytes',
    body: eventWith({ user_id: 'x'.repeat(257) }),
    status: 400,
    code: 'invalid_id',
    field: 'events[0].user_id',
  },
  {
    name: 'an id of 129 characters in 258 bytes',
    body: eventWith({ user_id: 'é'.repeat(129) }),
    status: 400,
    code: 'invalid_id',
    field: 'events[0].user_id',
  },
  {
    name: 'seconds for milliseconds',
    body: eventWith({ timestamp: 1_763_890_000 }),
    status: 422,
    code: 'invalid_request',
    field: 'events[0].timestamp',
    says: /1970-01-21.*2025-11-23.*1763890000000/,
  },
  {
    name: 'the time "infinity"',
    body: eventWith({ timestamp: 'infinity' }),
    status: 422,
    code: 'invalid_request',
  },
  {
    name: 'the year 300000',
    body: eventWith({ timestamp: '+300000-01-01T00:00:00Z' }),
    status: 422,
    code: 'invalid_request',
  },
  {
    name: 'a time without zone',
    body: eventWith({ timestamp: '2026-11-23T10:00:00' }),
    status: 422,
    code: 'invalid_request',
    says: 'zone',
  },
  {
    name: 'a time before 2000',
    body: eventWith({ timestamp: '1999-12-31T23:59:59Z' }),
    status: 422,
    code: 'invalid_request',
  },
  {
    name: 'a time 6 minutes ahead',
    body: eventWith({ timestamp: '2026-11-23T12:06:00Z' }),
    status: 422,
    code: 'invalid_request',
  },
  {
    name: 'the 30th of February',
    body: eventWith({ timestamp: '2026-02-30T00:00:00Z' }),
    status: 422,
    code: 'invalid_request',
  },
  {
    name: 'one event_id for two events',
    body: events({ ...EVENT, event_id: 'e' }, { ...EVENT, event_id: 'e', item_id: 'i2' }),
    status: 409,
    code: 'event_id_conflict',
    field: 'events[1].event_id',
  },
  {
    name: 'a session of 201 items',
    path: SESSIONS,
    body: { items: Array(201).fill('i1') },
    status: 422,
    code: 'invalid_request',
    field: 'items',
  },
  {
    name: 'a session with an id that is no text',
    path: SESSIONS,
    body: { items: [{}] },
    status: 422,
    code: 'invalid_request',
    field: 'items[0]',
  },
  {
    name: 'k of a session as text',
    path: SESSIONS,
    body: { items: [], k: '5' },
    status: 422,
    code: 'invalid_request',
    field: 'k',
  },
];

const QUERIES: Case[] = [
  ...['-1', '0', '1e12', '1000000000000', 'abc', 'NaN', '', '1.5', '0x10', ' 5', '101'].map(
    (k): Case => ({
      name: `k=${k}`,
      path: `${USER}?k=${encodeURIComponent(k)}`,
      status: 422,
      code: 'invalid_request',
      field: 'k',
    }),
  ),
  {
    name: 'k above the tier',
    path: `${USER}?k=21`,
    tier: 'basic',
    status: 422,
    code: 'invalid_request',
    field: 'k',
    says: 'at most 20',
  },
  {
    name: 'a repeated parameter',
    path: `${USER}?k=1&k=2`,
    status: 400,
    code: 'invalid_parameter',
    field: 'k',
  },
  {
    name: 'an unknown parameter',
    path: `${USER}?tier=full`,
    status: 400,
    code: 'invalid_parameter',
    field: 'tier',
    says: 'exclude_seen',
  },
  { name: 'a bracketed parameter', path: `${USER}?b[c]=1`, status: 400, code: 'invalid_parameter' },
  {
    name: '__proto__ in the query',
    path: `${USER}?__proto__[x]=1`,
    status: 400,
    code: 'invalid_parameter',
  },
  {
    name: '__proto__ as a parameter',
    path: `${USER}?__proto__=1`,
    status: 400,
    code: 'invalid_parameter',
  },
  {
    name: 'constructor as a parameter',
    path: `${USER}?constructor=1`,
    status: 400,
    code: 'invalid_parameter',
  },
  {
    name: 'a parameter where there are none',
    path: '/v1/tiers?x=1',
    status: 400,
    code: 'invalid_parameter',
  },
  {
    name: 'exclude_seen=yes',
    path: `${USER}?exclude_seen=yes`,
    status: 422,
    code: 'invalid_request',
    field: 'exclude_seen',
  },
  {
    name: 'a token of another kind',
    path: `${USER}?after=abc`,
    status: 422,
    code: 'invalid_request',
    field: 'after',
  },
  {
    name: 'a broken percent in the query',
    path: `${USER}?after=%E0%A4%A`,
    status: 400,
    code: 'invalid_url',
  },
  {
    name: 'a broken percent in the path',
    path: '/v1/users/%E0%A4%A/recommendations',
    status: 400,
    code: 'invalid_url',
  },
  {
    name: 'an id with %00',
    path: '/v1/users/a%00b/recommendations',
    status: 400,
    code: 'invalid_id',
    field: 'id',
  },
  {
    name: 'an id with a newline',
    path: '/v1/items/a%0Ab',
    status: 400,
    code: 'invalid_id',
    field: 'id',
  },
  {
    name: 'an id that is too long',
    path: `/v1/items/${'x'.repeat(257)}`,
    status: 400,
    code: 'invalid_id',
  },
  {
    name: 'an id like a path',
    path: '/v1/items/..%2f..%2fetc%2fpasswd',
    status: 404,
    code: 'item_not_found',
  },
  { name: 'a key as a parameter', path: '/v1/tiers?api_key=abc', status: 400, code: 'key_in_url' },
  {
    name: 'a key in the path',
    path: '/v1/items/rk_live_abcdefghij',
    status: 400,
    code: 'key_in_url',
  },
  {
    name: 'a key behind percent signs',
    path: '/v1/items/%72k%5Flive%5fabc',
    status: 400,
    code: 'key_in_url',
  },
  { name: 'an unknown route', path: '/v2/events', status: 404, code: 'route_not_found' },
  { name: 'a trailing slash', path: '/v1/tiers/', status: 404, code: 'route_not_found' },
  { name: 'another case', path: '/V1/tiers', status: 404, code: 'route_not_found' },
  {
    name: 'a wrong method',
    method: 'DELETE',
    path: '/v1/tiers',
    status: 405,
    code: 'method_not_allowed',
    says: 'GET',
  },
  {
    name: 'OPTIONS',
    method: 'OPTIONS',
    path: '/v1/tiers',
    status: 405,
    code: 'method_not_allowed',
  },
];

const PUT_ITEM = { method: 'PUT', path: '/v1/items/i7', status: 422, code: 'invalid_request' };

/** What the database or a float32 cannot hold must not reach it. */
const ITEMS: Case[] = [
  { ...PUT_ITEM, name: 'NUL in a title', body: { title: 'a\0b' }, field: 'title' },
  { ...PUT_ITEM, name: 'a lone surrogate', body: '{"brand":"\\ud800"}', field: 'brand' },
  { ...PUT_ITEM, name: 'NUL in a category', body: { categories: ['\0'] }, field: 'categories[0]' },
  { ...PUT_ITEM, name: 'NUL in a field', body: { fields: { a: '\0' } }, field: 'fields.a' },
  { ...PUT_ITEM, name: 'NUL in a name', body: { fields: { 'a\0': 1 } }, says: 'NUL' },
  { ...PUT_ITEM, name: 'a name of 66 bytes', body: { features: { ['字'.repeat(22)]: [1] } } },
  {
    ...PUT_ITEM,
    name: 'a number beyond float32',
    body: { features: { image: [0, 1e39] } },
    field: 'features.image[1]',
  },
  { ...PUT_ITEM, name: 'an empty vector', body: { features: { image: [] } } },
];

const POSTS = [...BODIES, ...VALUES].map((one): Case => ({ method: 'POST', ...one }));

describe('bad input', () => {
  it.each([...POSTS, ...QUERIES, ...ITEMS])('$name is $status $code', async (one) => {
    const appended = api.world.appended.length;
    const reply = await api.call(one.method ?? 'GET', one.path ?? '/v1/events', {
      body: one.body,
      key: one.tier === 'basic' ? basicKey : key,
      headers: {
        ...(one.method === 'POST' || one.method === 'PUT'
          ? { 'content-type': 'application/json' }
          : {}),
        ...one.headers,
      },
    });
    const problem = problemOf(reply);
    expect({ status: reply.status, code: problem.code }).toEqual({
      status: one.status,
      code: one.code,
    });
    expect(problem.status).toBe(one.status);
    if (one.field !== undefined) expect(problem.errors.map((e) => e.path)).toContain(one.field);
    const text = JSON.stringify(problem);
    if (one.says !== undefined) expect(text).toMatch(one.says);
    expect(text.length).toBeLessThan(4_000);
    expect(api.world.appended).toHaveLength(appended);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it('answers 405 with the methods that exist', async () => {
    const reply = await api.call('POST', '/v1/items/i1');
    expect(reply.status).toBe(405);
    expect(reply.headers.get('allow')).toBe('DELETE, GET, HEAD, PUT');
  });

  it('answers 405 to TRACE, which fetch cannot send', async () => {
    const text = await rawExchange(
      api.port,
      'TRACE /v1/tiers HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    );
    expect(text).toMatch(/^HTTP\/1\.1 405 .*"method_not_allowed"/s);
  });

  it('answers an expectation that it does not know as if it were not there', async () => {
    const text = await rawExchange(
      api.port,
      'GET /healthz HTTP/1.1\r\nHost: x\r\nExpect: a-miracle\r\nConnection: close\r\n\r\n',
    );
    expect(text).toMatch(/^HTTP\/1\.1 200 .*"ok"/s);
  });

  it('shows at most 64 characters of what it got', async () => {
    const reply = await api.call('GET', `${USER}?k=${'7'.repeat(500)}`);
    expect(reply.status).toBe(422);
    expect(reply.text).not.toContain('7'.repeat(65));
  });

  it('names every fault of a batch, up to twenty', async () => {
    const bad = Array.from({ length: 30 }, () => ({ ...EVENT, timestamp: 5 }));
    const { errors, detail } = problemOf(
      await api.call('POST', '/v1/events', { body: events(...bad) }),
    );
    expect(errors).toHaveLength(20);
    expect(detail).toContain('29 more');
  });

  it('answers the deep and the large within 50 ms of processor time each', async () => {
    const body = '['.repeat(45_000) + ']'.repeat(45_000);
    const before = process.cpuUsage();
    for (let i = 0; i < 20; i++) await api.call('POST', SESSIONS, { body });
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1_000 / 20).toBeLessThan(50);
  });
});
