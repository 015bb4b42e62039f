/**
 * Every route of the table against every state of a key. The cases come from the routes themselves, so a
 * new route is covered, or fails here, from its first day.
 */
import type { Scope } from '@nestrec/contracts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALL_SCOPES } from '../../../../tests/helpers/api/fakes.js';
import {
  problemOf,
  startApi,
  type ApiHarness,
  type Reply,
} from '../../../../tests/helpers/api/harness.js';
import type { Route } from '../http/route.js';
import { routes } from '../routes/index.js';

let api: ApiHarness;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.stop());

const scoped = routes.flatMap((route) =>
  route.access.kind === 'scopes' ? [{ route, anyOf: route.access.anyOf, name: nameOf(route) }] : [],
);
const operator = routes.filter((route) => route.access.kind === 'operator');

function nameOf(route: Route) {
  return `${route.method.toUpperCase()} ${route.path}`;
}

const send = (route: Route, options: { key: string | null; headers?: Record<string, string> }) =>
  api.call(route.method.toUpperCase(), route.path.replaceAll(/\{\w+\}/g, 'x1'), {
    ...options,
    ...(route.body === undefined ? {} : { body: {} }),
  });

/** What may differ between two refusals is the request id alone. */
const withoutId = (reply: Reply) => ({ ...problemOf(reply), request_id: '' });

describe('every route that needs a key', () => {
  it('is every route that does not say otherwise', () => {
    const open = routes.filter((route) => route.access.kind !== 'scopes').map(nameOf);
    expect(open.sort()).toEqual([
      'GET /docs',
      'GET /docs/{file}',
      'GET /healthz',
      'GET /metrics',
      'GET /openapi.json',
      'GET /readyz',
    ]);
  });

  it.each(scoped)(
    '$name: no key, a broken, unknown, expired or revoked one get the same 401',
    async ({ route }) => {
      const valid = api.world.key();
      const revoked = api.world.key();
      api.world.revoke(revoked);
      const expired = api.world.key({ expiresAtMs: api.world.clock.now() });
      const lastCharacter = valid.endsWith('0') ? '1' : '0';
      const replies = [
        await send(route, { key: null }),
        await send(route, { key: `${valid.slice(0, -1)}${lastCharacter}` }),
        await send(route, { key: 'not-a-key' }),
        await send(route, { key: null, headers: { authorization: `Basic ${valid}` } }),
        await send(route, { key: null, headers: { 'x-api-key': valid } }),
        await send(route, { key: unknownKey }),
        await send(route, { key: expired }),
        await send(route, { key: revoked }),
      ];
      for (const reply of replies) {
        expect(reply.status).toBe(401);
        expect(reply.headers.get('www-authenticate')).toBe('Bearer realm="nestrec"');
        expect(withoutId(reply)).toEqual(withoutId(replies[0]!));
      }
    },
  );

  it.each(scoped)('$name: a key without the scope gets 403', async ({ route, anyOf }) => {
    const others = ALL_SCOPES.filter((scope) => !anyOf.includes(scope));
    if (others.length === 0) {
      expect(anyOf).toHaveLength(ALL_SCOPES.length);
      return;
    }
    const reply = await send(route, { key: api.world.key({ scopes: others }) });
    expect(problemOf(reply)).toMatchObject({ status: 403, code: 'forbidden' });
  });

  it.each(
    scoped.flatMap(({ route, anyOf, name }) => anyOf.map((scope) => ({ route, scope, name }))),
  )(
    '$name: the scope $scope alone lets the request in',
    async ({ route, scope }: { route: Route; scope: Scope }) => {
      const reply = await send(route, { key: api.world.key({ scopes: [scope] }) });
      expect([401, 403]).not.toContain(reply.status);
    },
  );
});

/** Well formed, with a right checksum, but never stored here. */
let unknownKey: string;
beforeAll(async () => {
  const other = await startApi();
  unknownKey = other.world.key();
  await other.stop();
});

describe('operator routes', () => {
  const FORWARDED = { 'x-forwarded-for': '203.0.113.9' };
  const paths = operator.map((route) => ({ path: route.path.replace('{file}', 'start.js') }));

  it.each(paths)('$path is open to this machine', async ({ path }) => {
    expect((await api.call('GET', path, { key: null })).status).toBe(200);
  });

  it.each(paths)('$path needs an admin key when a proxy forwards the request', async ({ path }) => {
    const plain = api.world.key({ scopes: ['recommend'] });
    const admin = api.world.key({ scopes: ['admin'] });
    const statusOf = async (key: string | null) =>
      (await api.call('GET', path, { key, headers: FORWARDED })).status;
    expect(await statusOf(null)).toBe(401);
    expect(await statusOf(plain)).toBe(403);
    expect(await statusOf(admin)).toBe(200);
  });

  it('are open to everybody where the operator says so', async () => {
    const open = await startApi({ settings: { openOperations: true } });
    const reply = await open.call('GET', '/metrics', { key: null, headers: FORWARDED });
    await open.stop();
    expect(reply.status).toBe(200);
  });
});
