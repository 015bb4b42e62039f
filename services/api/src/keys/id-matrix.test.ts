/**
 * D1: every route x an id of the caller's own, of another client, of nobody, and no id at all x every tier.
 * One deployment is one tenant: clients share users and items, so an own and another's id get the same
 * answer; what keeps clients apart are scopes, and without them the id decides nothing.
 *
 * The cases come from the route table: a route without an entry here fails.
 */
import { DEFAULT_TIERS, scopeSchema, trainingRunRequestSchema } from '@nestrec/contracts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApi, type ApiHarness, type Reply } from '../../../../tests/helpers/api/harness.js';
import type { Route } from '../http/route.js';
import { routes } from '../routes/index.js';

const KINDS = ['own', 'other', 'absent', 'malformed'] as const;
type Kind = (typeof KINDS)[number];
/** Statuses by kind of id; one number: the route has no id. */
type Expected = number | Readonly<Record<Kind, number>>;

/** What is written where there was nothing is made; what is read or changed must be there. */
const SAME = { own: 200, other: 200, absent: 200, malformed: 400 };
const FOUND = { own: 200, other: 200, absent: 404, malformed: 400 };
const TAKEN = { own: 202, other: 202, absent: 202, malformed: 400 };
const GONE = { own: 204, other: 204, absent: 404, malformed: 400 };

const MATRIX: Readonly<Record<string, Expected>> = {
  'post /v1/events': 202,
  'get /v1/users/{id}/recommendations': SAME,
  'post /v1/users/{id}/recommendations': SAME,
  'post /v1/sessions/recommendations': 200,
  'get /v1/items/{id}/similar': FOUND,
  'post /v1/items/{id}/similar': FOUND,
  'delete /v1/users/{id}/events/{event_id}': TAKEN,
  'delete /v1/users/{id}': TAKEN,
  // A receipt is proof by itself: nobody else's can be guessed, and a made-up one is not taken.
  'get /v1/erasures/{receipt}': { own: 200, other: 200, absent: 422, malformed: 422 },
  'put /v1/items/{id}': { own: 200, other: 200, absent: 201, malformed: 400 },
  'put /v1/items': 200,
  'get /v1/items/{id}': FOUND,
  'delete /v1/items/{id}': GONE,
  'get /v1/tiers': 200,
  'get /v1/models': 200,
  'get /v1/models/{version}': { own: 200, other: 200, absent: 404, malformed: 422 },
  'post /v1/models/{version}/publish': { own: 202, other: 202, absent: 404, malformed: 422 },
  'post /v1/models/{version}/rollback': { own: 200, other: 200, absent: 409, malformed: 422 },
  'post /v1/training-runs': 202,
  'get /v1/training-runs': 200,
  'get /v1/training-runs/{id}': { own: 200, other: 200, absent: 404, malformed: 422 },
  'delete /v1/training-runs/{id}': { own: 200, other: 200, absent: 404, malformed: 422 },
  'post /v1/admin/keys': 201,
  'get /v1/admin/keys': 200,
  'delete /v1/admin/keys/{id}': GONE,
  'post /v1/admin/clients/{id}/rotate': { own: 201, other: 201, absent: 404, malformed: 400 },
  'put /v1/admin/clients/{id}': FOUND,
  'get /v1/admin/tiers': 200,
  'put /v1/admin/tiers/{name}': { own: 200, other: 200, absent: 201, malformed: 422 },
  'delete /v1/admin/tiers/{name}': { own: 204, other: 204, absent: 404, malformed: 422 },
};

const BODIES: Readonly<Record<string, unknown>> = {
  'post /v1/events': { events: [{ user_id: 'u', item_id: 'i1' }] },
  'post /v1/sessions/recommendations': { items: ['i1'] },
  'put /v1/items': { items: [{ item_id: 'i1', title: 'One' }] },
  'put /v1/items/{id}': { title: 'One' },
  'post /v1/admin/keys': { client: 'third', tier: 'basic', scopes: ['recommend'] },
  'put /v1/admin/clients/{id}': { scopes: ['recommend'] },
  'put /v1/admin/tiers/{name}': { max_dim: 8, max_k: 5, requests_per_second: null },
};

const RUN = trainingRunRequestSchema.parse({});

const nameOf = (route: Route) => `${route.method} ${route.path}`;
const scoped = routes.filter((route) => route.access.kind === 'scopes');

describe('the matrix', () => {
  it('has an entry for every route that needs a key, and for no other', () => {
    expect(Object.keys(MATRIX).sort()).toEqual(scoped.map(nameOf).sort());
  });
});

let api: ApiHarness;
let own: string;

beforeAll(async () => {
  api = await startApi();
  own = api.world.key({ client: 'own' });
  const other = api.world.key({ client: 'other' });
  for (const [name, key] of Object.entries({ own, other })) {
    await api.call('PUT', `/v1/items/${name}`, { key, body: { title: name } });
  }
});
afterAll(() => api.stop());

/** Makes what the id of the route names, for the caller and for another client, and names nobody's. */
async function prepare(route: Route): Promise<Record<Kind, string>> {
  const { world } = api;
  const malformed = 'a%00b';
  if (route.path.includes('{version}')) {
    world.published = 'v2';
    const known = route.path.endsWith('rollback') ? 'v2' : 'v1';
    return { own: known, other: known, absent: 'v9', malformed: 'NO!' };
  }
  if (route.path.includes('{name}')) {
    const limits = { ...DEFAULT_TIERS[0]! };
    await world.deps.tiers.put({ ...limits, name: 'own' });
    await world.deps.tiers.put({ ...limits, name: 'other' });
    await world.deps.tiers.remove('absent');
    return { own: 'own', other: 'other', absent: 'absent', malformed: 'NO!' };
  }
  if (route.path.includes('{receipt}')) {
    const receiptOf = async (user: string) =>
      ((await api.call('DELETE', `/v1/users/${user}`, { key: own })).json as { receipt: string })
        .receipt;
    return {
      own: await receiptOf('own'),
      other: await receiptOf('other'),
      absent: 'nobody',
      malformed,
    };
  }
  if (route.path.includes('/admin/keys/{id}')) {
    for (const client of ['own k', 'other k']) world.key({ client, scopes: ['recommend'] });
    const idOf = async (client: string) =>
      (await world.deps.keys.list()).filter((key) => key.client === client).at(-1)!.publicId;
    return { own: await idOf('own k'), other: await idOf('other k'), absent: 'nobody', malformed };
  }
  if (route.path.includes('/clients/{id}')) {
    for (const client of ['own c', 'other c']) world.key({ client, scopes: ['recommend'] });
    return { own: 'own%20c', other: 'other%20c', absent: 'nobody', malformed };
  }
  if (route.path.includes('/training-runs/{id}')) {
    const idOf = async (client: string) =>
      String((await world.deps.trainingRuns.request(RUN, `client ${client}`)).id);
    return { own: await idOf('own'), other: await idOf('other'), absent: '999', malformed: '0' };
  }
  for (const id of ['own', 'other'])
    world.items.set(id, { item_id: id, title: id, available: true });
  world.items.delete('absent');
  return { own: 'own', other: 'other', absent: 'absent', malformed };
}

function send(route: Route, id: string, key: string): Promise<Reply> {
  const path = route.path.replaceAll(/\{\w+\}/g, id);
  const body = BODIES[nameOf(route)] ?? (route.body === undefined ? undefined : {});
  return api.call(route.method.toUpperCase(), path, {
    key,
    ...(body === undefined ? {} : { body }),
  });
}

/** What a caller sees, without what differs between two requests by nature. */
const seen = (reply: Reply) => ({
  status: reply.status,
  body: reply.text.replaceAll(/[0-9a-f]{32}/g, 'request'),
});

describe.each(scoped.map((route) => ({ route, name: nameOf(route) })))(
  '$name',
  ({ route, name }) => {
    const hasId = /\{\w+\}/.test(route.path);
    const kinds = hasId ? KINDS : (['own'] as const);

    it.each(DEFAULT_TIERS.map((tier) => tier.name))(
      'answers an id by what it names, whoever made it, in the tier %s as in the others',
      async (tier) => {
        const expected = MATRIX[name]!;
        for (const kind of kinds) {
          const at = await prepare(route);
          const key = api.world.key({ client: `matrix ${tier}`, tier });
          const { status } = await send(route, at[kind], key);
          expect([kind, status]).toEqual([
            kind,
            typeof expected === 'number' ? expected : expected[kind],
          ]);
        }
      },
    );

    it('tells a key without the scope the same of every id', async () => {
      const { access } = route;
      const anyOf = access.kind === 'scopes' ? access.anyOf : [];
      const others = scopeSchema.options.filter((scope) => !anyOf.includes(scope));
      if (others.length === 0) {
        expect(anyOf).toHaveLength(scopeSchema.options.length);
        return;
      }
      const at = await prepare(route);
      const key = api.world.key({ client: 'stranger', scopes: others });
      const replies = [];
      for (const kind of kinds) replies.push(seen(await send(route, at[kind], key)));
      expect(replies[0]!.status).toBe(403);
      for (const reply of replies) expect(reply).toEqual(replies[0]);
    });
  },
);
